/**
 * `node server.js FILESYSTEM DIR [options]`: a server to be measured. It says in a line that it is mounted, and
 * unmounts on SIGTERM.
 *
 * Names are asked for each time, and attributes where a client wants that, as the tiny filesystem says of its own;
 * with `--cached` the filesystem is mounted as its users are told to.
 */

import { parseArgs } from 'node:util';
import { memory, memoryMountOptions } from '@ringfuse/fs';
import { type Handlers, type MountOptions, mount, serve, type Transport } from 'ringfuse';
import { keepBusy } from './busy.ts';
import { withHeap } from './heap.ts';
import { withListedNamesCached } from './listed.ts';
import { loop } from './loop.ts';
import { ATTRIBUTES_VALID, Tiny, tinyMountOptions } from './tiny.ts';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Of tiny: an object of handlers, and no `for await`. */
    serve: { type: 'boolean', default: false },
    transport: { type: 'string', default: 'auto' },
    cached: { type: 'boolean', default: false },
    /** The length of the turns of other work that the event loop always has, in milliseconds. */
    busy: { type: 'string' },
    /** Of mirror: the directory that is shown. */
    beneath: { type: 'string' },
  },
});

interface Filesystem {
  readonly handlers: Handlers;
  readonly options: MountOptions;
}

const filesystems: Readonly<Record<string, () => Filesystem>> = {
  tiny: () => ({ handlers: new Tiny(), options: tinyMountOptions }),
  memory: () => uncached({ handlers: memory(), options: memoryMountOptions }),
};

function uncached({ handlers, options }: Filesystem): Filesystem {
  if (flags.cached) return { handlers, options };
  return {
    handlers: withListedNamesCached(handlers, ATTRIBUTES_VALID),
    options: { ...options, entryTimeout: 0, attrTimeout: ATTRIBUTES_VALID },
  };
}

const [name = '', dir = ''] = positionals;
if (!Object.hasOwn(filesystems, name)) {
  throw new Error(`there is no filesystem '${name}'; there are ${Object.keys(filesystems).join(', ')}`);
}
const { handlers, options } = filesystems[name]();

// Listened to before mounting: no signal may end the process with the filesystem mounted.
const interrupted = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
});
const fs = await mount(dir, { ...options, transport: flags.transport as Transport });
const served = handlers instanceof Tiny && !flags.serve ? loop(fs, handlers) : serve(fs, withHeap(handlers));
const detail = fs.transport === 'io_uring' ? `${fs.queues} queues x ${fs.queueDepth}` : fs.transportReason;
console.log(`mounted ${dir} (${fs.transport}, ${detail})`);
if (flags.busy !== undefined) keepBusy(Number(flags.busy), fs.closed);
await Promise.race([served, interrupted]);
await fs.close();
await served;
