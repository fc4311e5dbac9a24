/**
 * A program that serves a mount until SIGTERM: `mirror-program.js SOURCE DIR TRANSPORT`, a mirror of
 * SOURCE, or a memory filesystem with the file `file` if SOURCE is `memory`. It prints `mounted`, and in
 * the end how the mount ended.
 */

import { memory, memoryMountOptions, mirror } from '@ringfuse/fs';
import { mount, serve, type Transport } from 'ringfuse';
import { UNCACHED } from './sandbox.ts';

const [source, dir, transport] = process.argv.slice(2);
const it = source === 'memory' ? undefined : mirror(source);
const options = it?.mountOptions ?? { ...memoryMountOptions, ...UNCACHED };
const fs = await mount(dir, { ...options, transport: transport as Transport });
process.once('SIGTERM', () => void fs.destroy());
console.log('mounted');
try {
  await serve(fs, it?.handlers(fs) ?? memory({ files: { file: 'the contents of a file' } }));
  console.log('ended');
} catch (error) {
  console.log((error as NodeJS.ErrnoException).code);
}
