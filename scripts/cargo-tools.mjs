/** Programs of crates.io that the scripts run: built once, into `target/tools`. */

import { rmSync } from 'node:fs';
import { root, run } from './run.mjs';

const TOOLS = `${root}target/tools`;

/** Builds programs, each `NAME@VERSION`, unless they are there; cargo knows. Why they are not there then, if so. */
export function installTools(...programs) {
  // cargo finds its subcommands there.
  if (!process.env.PATH.startsWith(TOOLS)) process.env.PATH = `${TOOLS}/bin:${process.env.PATH}`;
  const build = `${TOOLS}/build`;
  try {
    // Not optimised: building them takes longer than running them.
    run('cargo', ['install', '--quiet', '--locked', '--debug', '--root', TOOLS, ...programs], {
      env: { ...process.env, CARGO_TARGET_DIR: build, CARGO_PROFILE_DEV_DEBUG: '0' },
    });
    return undefined;
  } catch (error) {
    return error.message;
  } finally {
    rmSync(build, { recursive: true, force: true });
  }
}
