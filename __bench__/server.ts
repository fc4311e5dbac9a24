/**
 * `node server.js FILESYSTEM DIR [options]`: a server to be measured. It says in a line that it is mounted, and
 * unmounts on SIGTERM.
 *
 * Names are asked for each time, and attributes where a client wants that, as the tiny filesystem says of its own;
 * with `--cached` the filesystem is mounted as its users are told to.
 */

import { parseArgs } from 'node:util';
import { memory, memoryMountOptions, mirror } from '@ringfuse/fs';
import { type Handlers, type Mount, type MountOptions, mount, serve, type Transport } from 'ringfuse';
import { keepBusy } from './busy.ts';
import { withHeap } from './heap.ts';
import { withListedNamesCached } from './listed.ts';
import { loop } from './loop.ts';
import { OwnNames, SharedNames } from './names.ts';
import { ATTRIBUTES_VALID, LAST_ENTRY, Tiny, tinyMountOptions } from './tiny.ts';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Of tiny: an object of handlers, and no `for await`. */
    serve: { type: 'boolean', default: false },
    transport: { type: 'string', default: 'auto' },
    cached: { type: 'boolean', default: false },
    /** The length of the turns of other work that the event loop always has, in milliseconds. */
    busy: { type: 'string' },
    /** Of tiny and mirror: a worker for each CPU. */
    workers: { type: 'boolean', default: false },
    /** Of mirror: each read and write is a request, and passed through by the kernel never. */
    requests: { type: 'boolean', default: false },
    /** Of mirror: the directory that is shown. */
    beneath: { type: 'string' },
  },
});

interface Filesystem {
  readonly options: MountOptions;
  /** Serves it until the mount ends. A mount with workers is served by them. */
  readonly serve: (fs: Mount) => Promise<void>;
}

const filesystems: Readonly<Record<string, () => Filesystem>> = {
  tiny() {
    const options = tinyMountOptions;
    if (flags.workers) {
      const { memory: data } = SharedNames.make(LAST_ENTRY);
      const workers = { module: new URL('./worker.js', import.meta.url), data };
      return { options: { ...options, workers }, serve: (fs) => fs.closed };
    }
    const tiny = new Tiny(new OwnNames(LAST_ENTRY));
    return { options, serve: (fs) => (flags.serve ? serve(fs, tiny) : loop(fs, tiny)) };
  },
  memory() {
    const handlers = withHeap(listed(memory()));
    return { options: uncached(memoryMountOptions), serve: (fs) => serve(fs, handlers) };
  },
  mirror() {
    if (flags.beneath === undefined) throw new Error('--beneath is missing: the directory to be mirrored');
    const source = mirror(flags.beneath, { passthrough: !flags.requests });
    const options = uncached(source.mountOptions);
    if (flags.workers) {
      const end = (fs: Mount) => fs.closed.finally(() => source.close());
      return { options: { ...options, workers: source.workers() }, serve: end };
    }
    return { options, serve: (fs) => serve(fs, listed(source.handlers(fs))) };
  },
};

function uncached(options: MountOptions): MountOptions {
  return flags.cached ? options : { ...options, entryTimeout: 0, attrTimeout: ATTRIBUTES_VALID };
}

function listed(handlers: Handlers): Handlers {
  return flags.cached ? handlers : withListedNamesCached(handlers, ATTRIBUTES_VALID);
}

const [name = '', dir = ''] = positionals;
if (!Object.hasOwn(filesystems, name)) {
  throw new Error(`there is no filesystem '${name}'; there are ${Object.keys(filesystems).join(', ')}`);
}
const filesystem = filesystems[name]();

// Listened to before mounting: no signal may end the process with the filesystem mounted.
const interrupted = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
});
const fs = await mount(dir, { ...filesystem.options, transport: flags.transport as Transport });
const served = filesystem.serve(fs);
const detail = fs.transport === 'io_uring' ? `${fs.queues} queues x ${fs.queueDepth}` : fs.transportReason;
console.log(`mounted ${dir} (${fs.transport}, ${detail})`);
if (flags.busy !== undefined) keepBusy(Number(flags.busy), fs.closed);
await Promise.race([served, interrupted]);
await fs.close();
await served;
