/** Mirrors of fresh directories, mounted for a test. */

import { chmod, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type MirrorOptions, mirror } from '@ringfuse/fs';
import type { ExecutionContext } from 'ava';
import { type Handlers, type Mount, type MountOptions, mount, serve } from 'ringfuse';
import { mountpoint } from './mounted.ts';
import { transport } from './transports.ts';

/** A mirror of a test. */
export interface Mirrored {
  /** The directory beneath. */
  readonly source: string;
  /** Where it is mounted. */
  readonly dir: string;
  readonly mount: Mount;
  /** Requests that came so far, by operation. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Makes a directory beside the mounts, which everybody may enter, removed when the test is over. */
export async function directory(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'ringfuse-source-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await chmod(dir, 0o755);
  return dir;
}

/** Mounts a mirror of `source`, on `dir`, until the test is over. */
export async function mirrored(
  t: ExecutionContext,
  options: MirrorOptions = {},
  more: MountOptions = {},
  places: { readonly source?: string; readonly dir?: string } = {},
): Promise<Mirrored> {
  const { source = await directory(t), dir = await mountpoint(t) } = places;
  const it = mirror(source, options);
  const fs = await mount(dir, { ...it.mountOptions, allowOther: true, transport, ...more });
  const counts = new Map<string, number>();
  const served = serve(fs, counting(it.handlers(fs), counts));
  t.teardown(async () => {
    await fs.destroy();
    await served;
  });
  return { source, dir, mount: fs, counts };
}

/** The handlers, and what they are asked. */
function counting(handlers: Handlers, counts: Map<string, number>): Handlers {
  return Object.fromEntries(
    Object.entries(handlers)
      .filter(([, handler]) => handler !== undefined)
      .map(([op, handler]) => [
        op,
        (request: never) => {
          counts.set(op, (counts.get(op) ?? 0) + 1);
          return (handler as (request: never) => unknown)(request);
        },
      ]),
  );
}

/** What the descriptors of this process are, but for those that come and go with Node.js itself. */
export async function descriptors(): Promise<string[]> {
  const names = await readdir('/proc/self/fd');
  const links = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')));
  return links.filter((link) => link.startsWith('/') && !link.startsWith('/proc/')).sort();
}
