/** The conformance suites, which are programs of crates.io: built once, into `target/tools`. */

import { rmSync } from 'node:fs';
import { root, run, say } from './run.mjs';

const SUITES = ['pjdfstest@0.2.2', 'fsx@0.3.2'];

const TOOLS = `${root}target/tools`;

/** Builds what is missing; cargo knows. Whether they are there then. */
export function installConformanceSuites() {
  const build = `${TOOLS}/build`;
  try {
    // Not optimised: building them takes longer than running them.
    run('cargo', ['install', '--quiet', '--locked', '--debug', '--root', TOOLS, ...SUITES], {
      env: { ...process.env, CARGO_TARGET_DIR: build, CARGO_PROFILE_DEV_DEBUG: '0' },
    });
    return true;
  } catch (error) {
    say(`${error.message}; pjdfstest and fsx are skipped`);
    return false;
  } finally {
    rmSync(build, { recursive: true, force: true });
  }
}
