import { Backing } from './backing.ts';
import type { NativeMount } from './binding.ts';
import { FuseError, fromNative } from './errors.ts';
import { Notifier } from './notifier.ts';
import type { Agreement, Maker, Transport } from './options.ts';

/** A mount as each thread has it that serves it: what was agreed on with the kernel, and what it can be told. */
export class Connection {
  /** Tells the kernel of changes that it did not make itself. */
  readonly notify: Notifier;
  readonly #native: NativeMount;
  #ended = false;

  /** @internal `thread`: 0 for the one that made the mount, and from 1 on for its workers. */
  constructor(native: NativeMount, thread: number) {
    this.#native = native;
    this.notify = new Notifier(native, thread);
  }

  /**
   * The mountpoint, absolute and without symbolic links. Empty if somebody else mounted, and this process does not see
   * where.
   */
  get path(): string {
    return this.#native.path;
  }

  /**
   * Who put the mount into the tree: this process by mount(2), `fusermount3` for it, or somebody else, who passed the
   * descriptor on and takes the mount away as well.
   */
  get maker(): Maker {
    return this.#native.maker;
  }

  /** How requests come. */
  get transport(): Transport {
    return this.#native.noRing === null ? 'io_uring' : 'dev_fuse';
  }

  /** Why the ring is not used; undefined if it is. */
  get transportReason(): string | undefined {
    return this.#native.noRing ?? undefined;
  }

  /** Number of the kernel's queues: one for each possible CPU. */
  get queues(): number {
    return this.#native.queues;
  }

  /** Requests that can be in handlers at once, for each queue. */
  get queueDepth(): number {
    return this.#native.queueDepth;
  }

  /** The capabilities that kernel and filesystem agreed on, by the kernel's names. */
  get capabilities(): readonly string[] {
    return this.agreement.capabilities;
  }

  /**
   * All that was agreed on: for the process that may have to take the connection over, as the option `agreement`. It
   * can be written as JSON.
   */
  get agreement(): Agreement {
    return this.#native.agreement as Agreement;
  }

  /**
   * Gives the kernel an open file to read and write in place of the filesystem; needs the capability `PASSTHROUGH`.
   *
   * @param fd The file's descriptor, which may be closed afterwards.
   * @throws FuseError `ERR_RINGFUSE_BACKING`, with the errno and what mends it.
   */
  openBacking(fd: number): Backing {
    if (this.#ended) throw new FuseError('ERR_RINGFUSE_CLOSED', 'openBacking: the mount has ended');
    return new Backing(this.#native, fd);
  }

  /**
   * Takes a backing file back by its `id`, as `Backing.close` does: for another thread than the one that opened it.
   *
   * @throws FuseError `ERR_RINGFUSE_BACKING` if there is none of this id.
   */
  closeBacking(id: number): void {
    if (this.#ended) return;
    try {
      this.#native.closeBacking(id);
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** @internal The mount has ended: the kernel can be told nothing more. */
  endConnection(): void {
    this.#ended = true;
    this.notify.close();
  }
}
