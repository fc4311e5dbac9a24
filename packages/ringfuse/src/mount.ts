import { Backing } from './backing.ts';
import type { NativeMount, Stats } from './binding.ts';
import { Channel, type ChannelOwner } from './channel.ts';
import { FuseError, fromNative, invalidOption } from './errors.ts';
import { atExit } from './exit.ts';
import { FOPEN } from './generated/layout.ts';
import { binding } from './native.ts';
import { Notifier } from './notifier.ts';
import { checkOptions, type MountOptions, type Transport } from './options.ts';
import type { Request } from './requests/index.ts';
import { beforeSignals } from './signals.ts';

export type { Stats } from './binding.ts';

/** Milliseconds that `close()` gives open files and running requests. */
const CLOSE_TIMEOUT = 5000;

/** Milliseconds that a signal gives them. */
const SIGNAL_TIMEOUT = 1000;

/** Longest time that `setTimeout` can wait, milliseconds: longer ones would be over at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** What `close` may be told. */
export interface CloseOptions {
  /** Milliseconds until what still runs is ended as by `destroy`. Default 5000. */
  readonly timeout?: number;
}

/**
 * Mounts a filesystem on the directory `path`. Once the promise resolves, programs can use it, and their
 * requests wait for whoever iterates over the mount.
 *
 * Leaving the iteration, by `break`, `return` or an exception, ends the mount. A mount keeps the process alive;
 * a process that exits takes its mounts with it.
 *
 * @param path The mountpoint, an existing directory.
 * @param options See {@link MountOptions}.
 * @returns The mount, to be iterated over, or given to `serve`.
 * @throws FuseError with one of the codes in `docs/errors.md`, whose message says what to do.
 */
export async function mount(path: string, options: MountOptions = {}): Promise<Mount> {
  const checked = checkOptions(path, options);
  options.signal?.throwIfAborted();
  const { NativeMounting } = binding();
  const mounting = new NativeMounting();
  const leave = atExit(() => mounting.abandon());
  let native: NativeMount;
  try {
    native = await mounting.begin(path, checked.native);
  } catch (error) {
    throw fromNative(error);
  } finally {
    leave();
  }
  const fs = serveWith(native, options);
  if (options.signal?.aborted) {
    await fs.destroy();
    options.signal.throwIfAborted();
  }
  return fs;
}

function serveWith(native: NativeMount, options: MountOptions): Mount {
  try {
    return new Mount(native, options);
  } catch (error) {
    native.unmountNow();
    native.close();
    throw fromNative(error);
  }
}

/** A mounted filesystem: an async iterable of the requests that programs make of it. */
export class Mount implements AsyncIterable<Request>, AsyncDisposable {
  readonly #native: NativeMount;
  readonly #channel: Channel;
  /** Tells the kernel of changes that it did not make itself. */
  readonly notify: Notifier;
  readonly #options: MountOptions;
  readonly #closed: PromiseWithResolvers<void> = withResolvers();
  readonly #leaveProcess: (() => void)[];
  #waiting: PromiseWithResolvers<IteratorResult<Request, undefined>> | undefined;
  #iterated = false;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #error: unknown;
  #stats: Stats | undefined;
  #unmounted: Promise<void> | undefined;

  /** @internal */
  constructor(native: NativeMount, options: MountOptions) {
    const { entryTimeout = 1, attrTimeout = 1, directIo = false, signal } = options;
    const defaults = { entryTimeout, attrTimeout, openFlags: directIo ? FOPEN.DIRECT_IO : 0 };
    const owner: ChannelOwner = {
      ready: () => this.#ready(),
      retrieved: (unique, data) => this.notify.retrieved(unique, data),
      ended: (error) => this.#end(error),
      report: (error, request) => this.#report(error, request),
    };
    this.#native = native;
    this.#options = options;
    this.notify = new Notifier(native);
    this.#channel = new Channel(native, defaults, owner);
    this.#channel.listen();
    this.#leaveProcess = [atExit(() => native.unmountNow())];
    if (options.handleSignals)
      this.#leaveProcess.push(beforeSignals(() => this.close({ timeout: SIGNAL_TIMEOUT })));
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** The mountpoint, absolute and without symbolic links. */
  get path(): string {
    return this.#native.path;
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
    return this.#native.capabilities;
  }

  /** Requests that were taken and not answered yet. */
  get outstanding(): number {
    return this.#state === 'closed' ? 0 : this.#channel.outstanding;
  }

  /** Resolves when the mount has ended and let go of everything, however it came to that. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** The mount's counters. */
  stats(): Stats {
    return this.#stats ?? this.#native.stats();
  }

  /**
   * Gives the kernel an open file to read and write in place of the filesystem; needs the capability `PASSTHROUGH`.
   *
   * @param fd The file's descriptor, which may be closed afterwards.
   * @throws FuseError `ERR_RINGFUSE_BACKING`, with the errno and what mends it.
   */
  openBacking(fd: number): Backing {
    if (this.#state === 'closed')
      throw new FuseError('ERR_RINGFUSE_CLOSED', 'openBacking: the mount has ended');
    return new Backing(this.#native, fd);
  }

  /** Keeps the process alive while mounted: so it is at first. */
  ref(): this {
    if (this.#state !== 'closed') this.#native.setRef(true);
    return this;
  }

  /** Lets the process end although mounted; it unmounts then. */
  unref(): this {
    if (this.#state !== 'closed') this.#native.setRef(false);
    return this;
  }

  /**
   * Unmounts. Nothing new can be opened; open files and running requests have `timeout` milliseconds, during
   * which the filesystem must go on being served; then they are ended as by {@link Mount.destroy}.
   *
   * @returns A promise for the end of the mount.
   * @throws FuseError `ERR_RINGFUSE_UNMOUNT` if it cannot be unmounted; it goes on then.
   */
  async close({ timeout = CLOSE_TIMEOUT }: CloseOptions = {}): Promise<void> {
    if (typeof timeout !== 'number' || !(timeout >= 0)) {
      throw invalidOption('timeout', `it must be a number of milliseconds from 0, not ${String(timeout)}`);
    }
    if (this.#state !== 'open') return this.closed;
    this.#state = 'closing';
    this.ref();
    const timer = setTimeout(() => this.destroy(), Math.min(timeout, LONGEST_TIMER));
    try {
      await this.#native.unmount(false);
    } catch (error) {
      clearTimeout(timer);
      if (this.#state === 'closing' && this.#unmounted === undefined) this.#state = 'open';
      throw fromNative(error);
    }
    await this.closed;
    clearTimeout(timer);
  }

  /**
   * Ends the mount at once. Programs that wait for it get ECONNABORTED or ENOTCONN; handlers that still run find
   * their request's `signal` aborted.
   *
   * @param error If given, the iteration over the mount throws it.
   * @returns A promise for the end of the mount.
   */
  async destroy(error?: unknown): Promise<void> {
    if (this.#state !== 'closed') {
      this.#state = 'closing';
      this.#error ??= error;
      await this.#unmount();
      this.#end();
    }
    return this.closed;
  }

  /** As {@link Mount.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    // The block that disposes of the mount has left its iteration: nobody would serve a drain.
    await (this.#iterated ? this.destroy() : this.close());
  }

  /** The requests, one after the other, until the mount ends. There is one iteration in a mount's life. */
  [Symbol.asyncIterator](): AsyncIterator<Request, undefined> {
    if (this.#iterated) throw new FuseError('ERR_RINGFUSE_ITERATED', 'the mount is iterated over already');
    this.#iterated = true;
    return {
      next: () => this.#next(),
      return: async () => {
        await this.destroy();
        return { done: true, value: undefined };
      },
    };
  }

  #next(): Promise<IteratorResult<Request, undefined>> {
    if (this.#state !== 'closed') {
      const request = this.#channel.next();
      if (request !== undefined) return Promise.resolve({ done: false, value: request });
    }
    // Looking for the next request may have found the end.
    if (this.#isClosed()) {
      return this.#error === undefined
        ? Promise.resolve({ done: true, value: undefined })
        : Promise.reject(this.#error);
    }
    if (this.#waiting !== undefined) {
      return Promise.reject(new FuseError('ERR_RINGFUSE_ITERATED', 'next() waits for a request already'));
    }
    this.#waiting = withResolvers();
    return this.#waiting.promise;
  }

  #ready(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const request = this.#channel.next();
    if (request === undefined || this.#waiting !== waiting) return;
    this.#waiting = undefined;
    waiting.resolve({ done: false, value: request });
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Ends the connection and takes the mount out of the tree, once. */
  #unmount(): Promise<void> {
    this.#unmounted ??= this.#forceUnmount();
    return this.#unmounted;
  }

  async #forceUnmount(): Promise<void> {
    try {
      await this.#native.unmount(true);
    } catch (error) {
      this.#report(fromNative(error), undefined);
    }
  }

  /** The connection is gone, or to go: let go of everything. */
  #end(error?: unknown): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#error ??= error;
    this.#stats = this.#native.stats();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    // A connection that was aborted from outside leaves its mountpoint behind.
    void this.#unmount().then(() => this.#finish());
    this.notify.close();
    this.#channel.close();
  }

  #finish(): void {
    for (const leave of this.#leaveProcess) leave();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (this.#error === undefined) waiting?.resolve({ done: true, value: undefined });
    else waiting?.reject(this.#error);
    this.#closed.resolve();
  }

  readonly #onAbort = (): void => {
    void this.destroy(this.#options.signal?.reason);
  };

  #report(error: unknown, request: Request | undefined): void {
    if (this.#options.onError !== undefined) {
      this.#options.onError(error, request);
      return;
    }
    const cause = error instanceof Error ? error : new Error(String(error));
    process.emitWarning(`${request?.op ?? 'mount'}: ${cause.message}`, {
      type: 'RingfuseWarning',
      code: 'RINGFUSE_UNREPORTED',
      detail: cause.stack,
    });
  }
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** `Promise.withResolvers`, which Node 20 lacks. */
function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((...settle) => {
    [resolve, reject] = settle;
  });
  return { promise, resolve, reject };
}
