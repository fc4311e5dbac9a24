/**
 * `node server.js FILESYSTEM DIR [options]`: a server to be measured. It says in a line that it is mounted, and
 * unmounts on SIGTERM.
 */

import { memory, memoryMountOptions } from '@ringfuse/fs';
import { type Handlers, type MountOptions, mount, serve } from 'ringfuse';
import { InvalidArgumentError, Option, program } from 'commander';
import { keepBusy } from './busy.ts';
import { withHeap } from './heap.ts';
import { loop } from './loop.ts';
import { Tiny, tinyMountOptions } from './tiny.ts';

interface Flags {
  readonly style: 'for-await' | 'serve';
  readonly transport: 'auto' | 'io_uring' | 'dev_fuse';
  readonly cache: 'none' | 'default';
  readonly busy?: number;
}

/** Names are asked for each time, attributes where the client wants that: what the tiny filesystem says of its own. */
const uncached = { entryTimeout: 0, attrTimeout: tinyMountOptions.attrTimeout };

/** What is served, and the options of its mount. */
const filesystems: Record<string, (flags: Flags) => readonly [Handlers, MountOptions]> = {
  tiny: () => [new Tiny(), tinyMountOptions],
  memory: ({ cache }) => [memory(), { ...memoryMountOptions, ...(cache === 'none' ? uncached : {}) }],
};

function parseMilliseconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It must be above 0.');
  return value;
}

async function run(name: string, dir: string, flags: Flags): Promise<void> {
  const [handlers, options] = filesystems[name](flags);
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  const fs = await mount(dir, { ...options, transport: flags.transport });
  const served =
    handlers instanceof Tiny && flags.style === 'for-await' ? loop(fs, handlers) : serve(fs, withHeap(handlers));
  const reason = fs.transport === 'io_uring' ? `${fs.queues} queues x ${fs.queueDepth}` : fs.transportReason;
  console.log(`mounted ${dir} (${fs.transport}, ${reason})`);
  if (flags.busy !== undefined) keepBusy(flags.busy, fs.closed);
  await Promise.race([served, interrupted]);
  await fs.close();
  await served;
}

program
  .argument('<filesystem>', Object.keys(filesystems).join(', '), (name) => {
    if (Object.hasOwn(filesystems, name)) return name;
    throw new InvalidArgumentError(`There are ${Object.keys(filesystems).join(', ')}.`);
  })
  .argument('<dir>', 'the directory to mount it on')
  .addOption(new Option('--style <style>', 'how tiny is written').choices(['for-await', 'serve']).default('for-await'))
  .addOption(new Option('--transport <transport>').choices(['auto', 'io_uring', 'dev_fuse']).default('auto'))
  .addOption(new Option('--cache <cache>', 'none: names are not').choices(['none', 'default']).default('none'))
  .option('--busy <ms>', 'the length of turns of other work that the event loop always has', parseMilliseconds)
  .action(run);

await program.parseAsync();
