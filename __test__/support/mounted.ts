/** Mounts for tests: on a directory of their own, proven to use the ring, gone when the test is over. */

import { mkdtemp, readFile, rmdir } from 'node:fs/promises';
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

/** Whether the kernel offers the ring: then every mount of a test must use it. */
export async function ringOffered(): Promise<boolean> {
  const parameter = await readFile('/sys/module/fuse/parameters/enable_uring', 'utf8').catch(() => 'N');
  return parameter.trim() === 'Y';
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
    if (options.transport === 'dev_fuse') return;
    proveTransport(t, fs, await ringOffered());
  });
  return { dir, mount: fs, served, path: (...names) => join(dir, ...names) };
}

/** Fails the test if its requests did not come by the ring although the kernel offers it. */
export function proveTransport(t: ExecutionContext, fs: Mount, offered: boolean): void {
  const { ringRequests, deviceRequests, forgetRequests, interrupts } = fs.stats();
  if (!offered) {
    t.log('the kernel does not offer the ring: this ran over /dev/fuse');
  } else if (
    fs.transport !== 'io_uring' ||
    (ringRequests === 0 && deviceRequests > forgetRequests + interrupts)
  ) {
    throw new Error(
      `the ring was offered and not used: ${fs.transportReason ?? `${ringRequests} requests by the ring`}`,
    );
  }
}
