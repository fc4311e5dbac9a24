/** Finds and loads the native addon of this platform. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Binding } from './binding.ts';
import { FuseError } from './errors.ts';

const require = createRequire(import.meta.url);

/** The addon, loaded on first use: whoever only imports types or errors needs none. */
export function binding(): Binding {
  loaded ??= load();
  return loaded;
}

let loaded: Binding | undefined;

function load(): Binding {
  const platform = `${process.platform}-${process.arch}-${libc()}`;
  const local = fileURLToPath(new URL(`../native/ringfuse.${platform}.node`, import.meta.url));
  const name = existsSync(local) ? local : `@ringfuse/binding-${platform}`;
  try {
    return require(name) as Binding;
  } catch (cause) {
    throw new FuseError('ERR_RINGFUSE_NATIVE', explain(platform, name, cause), { cause });
  }
}

function libc(): 'gnu' | 'musl' {
  // A glibc process says so in its report; a musl process does not.
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu';
}

function explain(platform: string, name: string, cause: unknown): string {
  if (process.platform !== 'linux')
    return `ringfuse needs Linux: FUSE is its kernel's, this is ${process.platform}`;
  if ((cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') {
    return (
      `the native addon for ${platform} is not installed: \`npm install ringfuse\` without --omit=optional ` +
      `(it comes as ${name}), or in a clone of the repository \`npm run build\``
    );
  }
  return `the native addon ${name} does not load: ${(cause as Error).message}`;
}
