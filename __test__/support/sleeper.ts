/**
 * A program that serves a mount until SIGTERM and sleeps in a FUSE filesystem of another process: `sleeper.js INNER DIR
 * TRANSPORT`. A line on standard input is what it does there, outside of any handler. It prints `mounted`, `asleep`
 * and `awake` around that, and in the end how the mount ended.
 */

import { once } from 'node:events';
import { statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { mount, serve, type Transport } from 'ringfuse';
import { sandbox, UNCACHED } from './sandbox.ts';

const [inner, dir, transport] = process.argv.slice(2);

const deeds: { readonly [deed: string]: () => void } = {
  stat: () => void statSync(join(inner, 'absent'), { throwIfNoEntry: false }),
  // The target is no file that the call uses, though it is in the mount.
  symlink: () => symlinkSync(join(dir, 'file'), 'link'),
};

process.chdir(inner);
const fs = await mount(dir, { ...UNCACHED, transport: transport as Transport });
process.once('SIGTERM', () => {
  process.stdin.destroy();
  void fs.destroy();
});
const served = serve(fs, sandbox()).then(
  () => 'ended',
  ({ code }) => code,
);
console.log('mounted');
const [deed] = await once(process.stdin, 'data');
console.log('asleep');
deeds[String(deed).trim()]();
console.log('awake');
console.log(await served);
