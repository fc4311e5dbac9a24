/** Mounts for tests: on a directory of their own, over the run's transport, gone when the test is over. */

import { mkdtemp, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Handlers, type Mount, type MountOptions, mount, serve } from 'ringfuse';

/** Where the tests' mounts are: `scripts/test.mjs` clears what an earlier run left there. */
export const PREFIX = '/tmp/ringfuse-test-';

/** A mount of a test. */
export interface Mounted {
  readonly dir: string;
  readonly mount: Mount;
  /** Resolves, or rejects, with the serving loop. */
  readonly served: Promise<void>;
  /** The path of a file in the mount. Never use it with `*Sync` of this process: it serves the mount. */
  path(...names: string[]): string;
}

/** Makes a mountpoint, removed when the test is over. */
export async function mountpoint(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(PREFIX);
  t.teardown(() => rmdir(dir).catch(() => undefined));
  return dir;
}

/** Mounts and serves `handlers` until the test is over. */
export async function mounted(
  t: ExecutionContext,
  handlers: Handlers,
  options: MountOptions = {},
): Promise<Mounted> {
  const dir = await mountpoint(t);
  const fs = await mount(dir, options);
  const served = serve(fs, handlers);
  t.teardown(async () => {
    await fs.destroy();
    await served.catch(() => undefined);
  });
  return { dir, mount: fs, served, path: (...names) => join(dir, ...names) };
}
