/** Finds and loads the native addon of this platform. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Binding } from './binding.ts';
import { FuseError } from './errors.ts';

const require = createRequire(import.meta.url);

/** Platforms that have a prebuilt binary: `npm` has a package for each. */
const PLATFORMS = ['linux-x64-gnu', 'linux-x64-musl', 'linux-arm64-gnu', 'linux-arm64-musl'];

/** The addon, loaded on first use: types and errors alone need none. */
export function binding(): Binding {
  loaded ??= load();
  return loaded;
}

let loaded: Binding | undefined;

function load(): Binding {
  refuseOtherRuntimes();
  const platform = `${process.platform}-${process.arch}-${libc()}`;
  const local = fileURLToPath(new URL(`../native/ringfuse.${platform}.node`, import.meta.url));
  const name = existsSync(local) ? local : `@ringfuse/binding-${platform}`;
  try {
    return require(name) as Binding;
  } catch (cause) {
    throw new FuseError('ERR_RINGFUSE_NATIVE', explain(platform, name, cause), { cause });
  }
}

/**
 * Bun aborts and Deno crashes in libuv calls of native addons that they do not have: nothing may be mounted by then.
 * Both claim to be Node.js otherwise.
 */
function refuseOtherRuntimes(): void {
  const { bun } = process.versions;
  const deno = (globalThis as { Deno?: { version?: { deno?: string } } }).Deno?.version?.deno;
  const runtime = bun === undefined ? deno && `Deno ${deno}` : `Bun ${bun}`;
  if (runtime === undefined) return;
  throw new FuseError(
    'ERR_RINGFUSE_RUNTIME',
    `ringfuse needs Node.js: ${runtime} does not have the event loop, libuv, that its native addon polls with. ` +
      'Run the program with `node`',
  );
}

function libc(): 'gnu' | 'musl' {
  // A glibc process says so in its report; a musl process does not.
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu';
}

function explain(platform: string, name: string, cause: unknown): string {
  if (process.platform !== 'linux')
    return `ringfuse needs Linux: FUSE is its kernel's, this is ${process.platform}`;
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ERR_DLOPEN_DISABLED')
    return 'this process may load no native addons: run node with --allow-addons';
  if (code === 'MODULE_NOT_FOUND' && !PLATFORMS.includes(platform)) {
    return (
      `there is no prebuilt native addon for ${platform}, only for ${PLATFORMS.join(', ')}: ` +
      'build it from the repository with `npm run build`'
    );
  }
  if (code === 'MODULE_NOT_FOUND') {
    return (
      `the native addon for ${platform} is not installed: \`npm install ringfuse\` without --omit=optional ` +
      `(it comes as ${name}), or in a clone of the repository \`npm run build\``
    );
  }
  return `the native addon ${name} does not load: ${(cause as Error).message}`;
}
