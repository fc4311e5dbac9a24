/**
 * Runs first in every Node.js process of a run of the tests, also in those that tests start (`ava.config.js`): mounts
 * that leave the transport open get the run's, and of each mount is written down which transport served it.
 * `scripts/transports.mjs` reads that.
 */

import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Binding, NativeMount, NativeMounting, NativeOptions, Stats } from '#ringfuse/binding.js';

/** What is written down of a mount: a line when it begins, and one with its counters when it ends. */
export interface Testimony {
  readonly id: string;
  /** The file that the process runs. */
  readonly program: string;
  readonly transport: 'io_uring' | 'dev_fuse';
  /** Why the ring is not used. */
  readonly reason: string | null;
  /** Missing at the beginning, and for good where the process was killed. */
  readonly stats?: Stats;
}

const { RINGFUSE_TEST_TRANSPORT: transport } = process.env;
const directory = join(import.meta.dirname, '../../transports');

let mounts = 0;

function testify(native: NativeMount): void {
  const testimony: Testimony = {
    id: `${process.pid}-${performance.timeOrigin}-${mounts++}`,
    program: process.argv[1] ?? '-',
    transport: native.noRing === null ? 'io_uring' : 'dev_fuse',
    reason: native.noRing,
  };
  const write = (more: Partial<Testimony>): void =>
    appendFileSync(join(directory, `${transport}.jsonl`), `${JSON.stringify({ ...testimony, ...more })}\n`);
  write({});
  for (const end of ['close', 'unmountNow'] as const) {
    const original = native[end].bind(native);
    const witnessed = (): void => {
      write({ stats: native.stats() });
      original();
    };
    Object.defineProperty(native, end, { value: witnessed });
  }
}

/** The addon's class, but for mounts that leave the transport open. */
function witnessed(Mounting: Binding['NativeMounting']): Binding['NativeMounting'] {
  return class implements NativeMounting {
    readonly #mounting: NativeMounting = new Mounting();

    async begin(path: string, options: NativeOptions, descriptor?: number): Promise<NativeMount> {
      const chosen = options.transport === 'auto' ? (transport ?? 'auto') : options.transport;
      const native = await this.#mounting.begin(path, { ...options, transport: chosen }, descriptor);
      testify(native);
      return native;
    }

    abandon(): void {
      this.#mounting.abandon();
    }
  };
}

if (transport !== undefined) {
  mkdirSync(directory, { recursive: true });
  const { dlopen } = process;
  process.dlopen = (module: object, ...rest: unknown[]): void => {
    Reflect.apply(dlopen, process, [module, ...rest]);
    const { exports } = module as { exports: { NativeMounting?: Binding['NativeMounting'] } };
    if (exports.NativeMounting === undefined) return;
    Object.defineProperty(exports, 'NativeMounting', { value: witnessed(exports.NativeMounting) });
  };
}
