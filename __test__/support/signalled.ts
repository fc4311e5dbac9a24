/**
 * A program that mounts the sandbox with `handleSignals`: `signalled.js DIR TRANSPORT HOW`. It prints a line before it
 * mounts, and one when requests are served.
 *
 * - `thread`, `workers`: who serves.
 * - `closing`: it closes the mount itself when `never` is read, with an hour for what still runs.
 * - `listener`: the application has a listener of its own for SIGINT, for one time, and goes on.
 * - `two`: it mounts twice, in the two directories below.
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Handlers, type Mount, type MountOptions, mount, serve, type Transport } from 'ringfuse';
import { inoOf, sandbox, UNCACHED } from './sandbox.ts';

const [dir, transport, how] = process.argv.slice(2);

const workers: MountOptions = {
  workers: {
    module: new URL('worker-sandbox.js', import.meta.url),
    data: { lookups: new Int32Array(new SharedArrayBuffer(4)) },
  },
};

async function mountAndServe(path: string): Promise<Mount> {
  const fs = await mount(path, {
    ...UNCACHED,
    transport: transport as Transport,
    handleSignals: true,
    ...(how === 'workers' ? workers : {}),
  });
  const handlers = sandbox();
  const closing: Handlers = {
    read(request) {
      if (request.ino === inoOf('never')) void fs.close({ timeout: 3_600_000 });
      return handlers.read?.(request) ?? 0;
    },
  };
  if (how !== 'workers') void serve(fs, how === 'closing' ? { ...handlers, ...closing } : handlers);
  return fs;
}

console.log('begins');
if (how === 'listener') process.once('SIGINT', () => console.log('listened'));
const mounts = await Promise.all(
  (how === 'two' ? [join(dir, '1'), join(dir, '2')] : [dir]).map(mountAndServe),
);
console.log('serves');
await Promise.all(mounts.map((fs) => fs.closed));
if (how === 'listener') {
  await sleep(200);
  console.log('went on');
}
