/**
 * The module of workers: the sandbox, whose `file` says which worker answers. Names that make the worker end are
 * those of {@link Ending}; the first byte of the shared memory in `data` counts the lookups of all workers.
 */

import { threadId } from 'node:worker_threads';
import { FuseError, type Handlers, ROOT_ID, type WorkerContext } from 'ringfuse';
import { CONTENTS, inoOf, NAMES, sandbox } from './sandbox.ts';

/** What `file` contains, as JSON. */
export interface Served {
  readonly index: number;
  readonly count: number;
  readonly cpus: readonly number[];
  readonly threadId: number;
}

/** Names whose lookup ends the worker, and how. */
const endings: { readonly [name: string]: () => void } = {
  exit: () => process.exit(3),
  throw: () =>
    void setImmediate(() => {
      throw new Error('nobody catches this');
    }),
  memory: () => {
    const all: unknown[] = [];
    for (;;) all.push(new Array(1e6).fill(all.length));
  },
};

export default function filesystem({ mount, data, index, count, cpus }: WorkerContext): Handlers {
  const { lookups } = data as { lookups: Int32Array };
  const plain = sandbox();
  return {
    ...plain,
    async lookup(request) {
      Atomics.add(lookups, 0, 1);
      if (request.name === 'wrong') throw new Error('no errno');
      if (request.name === 'unknown') {
        const error = new FuseError('EIO', 'of another version');
        throw Object.assign(error, { code: 'EUNKNOWNHERE', errno: undefined });
      }
      if (request.name === 'stored')
        return (await storeAndRetrieve()) ? null : Promise.reject(new Error('lost'));
      if (request.name in endings) {
        endings[request.name]();
        return new Promise<never>(() => undefined);
      }
      return plain.lookup?.(request) ?? null;
    },
    read({ ino, offset, size, signal }) {
      if (ino === inoOf('never')) {
        return new Promise<never>((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        });
      }
      const served: Served = { index, count, cpus, threadId };
      return Buffer.from(JSON.stringify(served)).subarray(offset, offset + size);
    },
  };

  /** Whether what was put into the kernel's cache comes back to the worker that asks for it. */
  async function storeAndRetrieve(): Promise<boolean> {
    const ino = inoOf(NAMES[0]);
    await mount.notify.invalInode(ROOT_ID);
    await mount.notify.store(ino, 0, CONTENTS);
    return (await mount.notify.retrieve(ino, 0, CONTENTS.length))?.equals(CONTENTS) ?? false;
  }
}
