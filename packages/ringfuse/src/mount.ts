import { constants } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NativeMount, Stats } from './binding.ts';
import { Channel } from './channel.ts';
import { Connection } from './connection.ts';
import { shareOut } from './cpus.ts';
import { LONGEST_TIMER } from './deadlines.ts';
import { fromNative, invalidOption } from './errors.ts';
import { atExit } from './exit.ts';
import { FOPEN } from './generated/layout.ts';
import { Iteration } from './iteration.ts';
import type { Limits } from './limits.ts';
import { binding } from './native.ts';
import { Wide } from './numbers.ts';
import { checkOptions, type MountOptions } from './options.ts';
import { resolvePolling } from './polling.ts';
import { type PromiseWithResolvers, withResolvers } from './promises.ts';
import { Reporter } from './reporting.ts';
import type { Request } from './requests/index.ts';
import { beforeSignals } from './signals.ts';
import { publishStall, stallThatEnded } from './stalls.ts';
import { Workers } from './workers.ts';

export type { Stats } from './binding.ts';

/** Milliseconds that `close()` gives open files and running requests. */
const CLOSE_TIMEOUT = 5000;

/** Milliseconds that a signal gives them. */
const SIGNAL_TIMEOUT = 1000;

/** Milliseconds between two looks at whether handlers hold requests still. */
const DRAIN_INTERVAL = 5;

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
 * @param path The mountpoint, an existing directory. `/dev/fd/N` is an open /dev/fuse that was passed to this process,
 * and that its sender has mounted: it is the mount's from now on, and closed with it.
 * @param options See {@link MountOptions}.
 * @returns The mount, to be iterated over, or given to `serve`.
 * @throws FuseError with one of the codes in `docs/errors.md`, whose message says what to do.
 */
export async function mount(path: string, options: MountOptions = {}): Promise<Mount> {
  const checked = checkOptions(path, options);
  options.signal?.throwIfAborted();
  const { NativeMounting, possibleCpus } = binding();
  const mounting = new NativeMounting();
  const settled = withResolvers<void>();
  const abandon = (): void => mounting.abandon();
  const leaveProcess = [atExit(abandon)];
  // Once the mount is made, it ends by itself.
  if (options.handleSignals) leaveProcess.push(beforeSignals({ end: () => settled.promise, now: abandon }));
  try {
    const groups = options.workers && shareOut(possibleCpus(), options.workers.count);
    const settings = { ...checked.native, queueGroups: groups ?? [] };
    const native = await mounting.begin(path, settings, checked.descriptor);
    const fs = await serveWith(native, checked.limits, options, groups);
    if (options.signal?.aborted) {
      await fs.destroy();
      options.signal.throwIfAborted();
    }
    return fs;
  } catch (error) {
    throw options.signal?.aborted ? options.signal.reason : fromNative(error);
  } finally {
    for (const leave of leaveProcess) leave();
    settled.resolve();
  }
}

async function serveWith(
  native: NativeMount,
  limits: Limits,
  options: MountOptions,
  groups: number[][] | undefined,
): Promise<Mount> {
  const fs = made(native, limits, options, groups);
  try {
    await fs.start();
    return fs;
  } catch (error) {
    await fs.destroy();
    throw error;
  }
}

function made(
  native: NativeMount,
  limits: Limits,
  options: MountOptions,
  groups: number[][] | undefined,
): Mount {
  try {
    return new Mount(native, limits, options, groups);
  } catch (error) {
    native.unmountNow();
    native.close();
    throw error;
  }
}

/** A mounted filesystem: an async iterable of the requests that programs make of it. */
export class Mount extends Connection implements AsyncIterable<Request>, AsyncDisposable {
  readonly #native: NativeMount;
  readonly #service: Service;
  readonly #iteration: Iteration;
  readonly #options: MountOptions;
  readonly #reporter: Reporter;
  /** Settles when everything was released: with the error that ended the mount, if one did. */
  readonly #closed: PromiseWithResolvers<void> = withResolvers();
  readonly #leaveProcess: (() => void)[];
  #state: 'open' | 'closing' | 'closed' = 'open';
  #error: unknown;
  #stats: Stats | undefined;
  #unmounted: Promise<void> | undefined;

  /** @internal */
  constructor(native: NativeMount, limits: Limits, options: MountOptions, groups: number[][] | undefined) {
    super(native, 0);
    const { entryTimeout = 1, attrTimeout = 1, directIo = false, signal, workers } = options;
    const defaults = {
      entryTimeout,
      attrTimeout,
      openFlags: directIo ? FOPEN.DIRECT_IO : 0,
      passthrough: this.capabilities.includes('PASSTHROUGH'),
    };
    const settings = {
      defaults,
      limits,
      lseek: !this.capabilities.includes('WRITEBACK_CACHE'),
      kernelOpens: !directIo && !this.capabilities.includes('ATOMIC_O_TRUNC'),
      // Who mounts elsewhere may mount on a file.
      rootType: this.maker === 'other' ? 0 : constants.S_IFDIR,
      sole: workers === undefined,
      wide: Wide.memory(options.agreement !== undefined),
      polling: resolvePolling(options.polling),
    };
    const owner = {
      ready: () => this.#iteration.ready(),
      retrieved: (unique: bigint, data: Buffer) => this.notify.retrieved(unique, data),
      stalled: publishStall,
      ended: (error?: unknown) => this.#end(error),
      report: (error: unknown, request?: Request) => this.#reporter.report(error, request),
    };
    this.#reporter = new Reporter(options.onError);
    // Nobody has to look at it.
    this.#closed.promise.catch(() => undefined);
    this.#native = native;
    this.#options = options;
    this.#iteration = new Iteration(
      () => (this.#state === 'closed' ? undefined : this.#service.next()),
      () => this.destroy(),
    );
    this.#service =
      workers === undefined || groups === undefined
        ? new Channel(native.channel(0), settings, owner)
        : new Workers(native, workers, groups, settings, owner);
    this.#leaveProcess = [atExit(() => native.unmountNow())];
    if (options.handleSignals)
      this.#leaveProcess.push(
        beforeSignals({ end: () => this.#endForSignal(), now: () => native.unmountNow() }),
      );
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** @internal Lets the kernel's requests through. */
  async start(): Promise<void> {
    await this.#service.start(() => this.#native.finish());
  }

  /** Requests that were taken and not answered yet. */
  get outstanding(): number {
    return this.#state === 'closed' ? 0 : this.#service.outstanding;
  }

  /**
   * Settles when the mount has ended and released everything: resolves, or rejects with the error that ended it. Nobody
   * has to handle that.
   */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** The mount's counters, which stay when it has ended. */
  stats(): Stats {
    return this.#stats ?? this.#native.stats();
  }

  /** Keeps the process alive while mounted: so it is at first. */
  ref(): this {
    if (this.#state !== 'closed') this.#service.setRef(true);
    return this;
  }

  /** Lets the process end although mounted; it unmounts then. */
  unref(): this {
    if (this.#state !== 'closed') this.#service.setRef(false);
    return this;
  }

  /**
   * Unmounts. Nothing new can be opened; open files and running requests have `timeout` milliseconds, during
   * which the filesystem must go on being served; then they are ended as by {@link Mount.destroy}. Where somebody else
   * mounted, the connection ends as soon as no handler holds a request.
   *
   * @returns A promise for the end of the mount.
   * @throws FuseError `ERR_RINGFUSE_UNMOUNT` if it cannot be unmounted; it goes on then.
   */
  async close({ timeout = CLOSE_TIMEOUT }: CloseOptions = {}): Promise<void> {
    if (typeof timeout !== 'number' || !(timeout >= 0)) {
      throw invalidOption('timeout', `it must be a number of milliseconds from 0, not ${String(timeout)}`);
    }
    if (this.#state !== 'open') return this.#released();
    this.#state = 'closing';
    this.ref();
    if (this.maker === 'other') return this.#drain(timeout);
    const timer = setTimeout(() => this.destroy(), Math.min(timeout, LONGEST_TIMER));
    try {
      await this.#native.unmount(false);
    } catch (error) {
      clearTimeout(timer);
      if (this.#state === 'closing' && this.#unmounted === undefined) this.#state = 'open';
      throw fromNative(error);
    }
    await this.#released();
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
    return this.#released();
  }

  /** A signal is to end the process: as `close`, with less time, also where `close` runs already. */
  async #endForSignal(): Promise<void> {
    const timer = setTimeout(() => void this.destroy(), SIGNAL_TIMEOUT);
    await this.close({ timeout: SIGNAL_TIMEOUT }).catch(() => this.destroy());
    clearTimeout(timer);
  }

  /** As {@link Mount.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    // The block that disposes of the mount has left its iteration: nobody would serve a drain.
    await (this.#iteration.begun ? this.destroy() : this.close());
  }

  /** The requests, one after the other, until the mount ends. There is one iteration in a mount's life. */
  [Symbol.asyncIterator](): AsyncIterator<Request, undefined> {
    return this.#iteration.begin();
  }

  /** Ends the connection once no handler holds a request. Who mounted unmounts: new requests come until then. */
  async #drain(timeout: number): Promise<void> {
    const end = performance.now() + timeout;
    while (this.outstanding > 0 && performance.now() < end) await sleep(DRAIN_INTERVAL);
    return this.destroy();
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
      this.#reporter.report(fromNative(error), undefined);
    }
  }

  /** The connection is gone, or to go: let go of everything. */
  #end(error?: unknown): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    const broken = error ?? stallThatEnded(this.#native);
    if (broken !== undefined) this.#reportEnd(broken);
    this.#error ??= broken;
    this.#stats = this.#native.stats();
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.endConnection();
    void this.#letGo();
  }

  async #letGo(): Promise<void> {
    const served = this.#service.close();
    // A connection that was aborted from outside leaves its mountpoint behind.
    await Promise.all([served, this.#unmount()]);
    this.#native.close();
    for (const leave of this.#leaveProcess) leave();
    this.#reporter.close();
    this.#iteration.end(this.#error);
    if (this.#error === undefined) this.#closed.resolve();
    else this.#closed.reject(this.#error);
  }

  /** Resolves when everything was released, whatever ended the mount. */
  async #released(): Promise<void> {
    await this.#closed.promise.catch(() => undefined);
  }

  /** What broke the mount goes to `onError`, and without one to the loop over the mount, if there is one. */
  #reportEnd(error: unknown): void {
    if (this.#options.onError !== undefined || !this.#iteration.begun)
      this.#reporter.report(error, undefined);
  }

  readonly #onAbort = (): void => {
    void this.destroy(this.#options.signal?.reason);
  };
}

/** Whoever answers the mount's requests: this thread, or workers. */
interface Service {
  /** Requests that handlers hold. */
  readonly outstanding: number;
  /** The next request for this thread, if one is ready. */
  next(): Request | undefined;
  /** Makes ready, calls `finish`, which answers FUSE_INIT, and begins to take requests. */
  start(finish: () => void): void | Promise<void>;
  setRef(keepAlive: boolean): void;
  /** The mount has ended: lets go of the kernel. */
  close(): void | Promise<void>;
}
