import { inspect } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import type { NativeMount, NativeOptions } from './binding.ts';
import { boolean, type Check, oneOf } from './checks.ts';
import type { Timeouts } from './deadlines.ts';
import { invalidOption } from './errors.ts';
import { INIT } from './generated/layout.ts';
import { type Limits, limitsOf } from './limits.ts';
import { type MountFlags, mountFlagChecks, mountFlags } from './mount-flags.ts';
import { POLLING_RANGES, type PollingOptions } from './polling.ts';
import type { Request } from './requests/index.ts';
import type { OnStall } from './stalls.ts';
import type { WorkersOptions } from './worker-context.ts';

/** A capability of FUSE_INIT by the kernel's name, without `FUSE_`: `'WRITEBACK_CACHE'`. */
export type Capability = keyof typeof INIT;

/** How requests reach the filesystem. */
export type Transport = 'io_uring' | 'dev_fuse';

/** What a connection was agreed on: see `Mount.agreement`. */
export interface Agreement {
  /** Minor version of protocol 7 that both speak. */
  readonly minor: number;
  /** Capabilities in force. */
  readonly capabilities: readonly Capability[];
  /** Largest write, bytes. */
  readonly maxWrite: number;
  /** Pages in one request. */
  readonly maxPages: number;
}

/** Who put a mount into the tree: see `Mount.maker`. */
export type Maker = NativeMount['maker'];

/** What `mount` may be told. */
export interface MountOptions extends MountFlags {
  /** Shown as the type and source in /proc/mounts: `fuse.NAME`. Default: `ringfuse`. */
  readonly name?: string;
  /** The source alone, such as `user@host:/path`. Default: `name`. */
  readonly fsname?: string;
  /** The type alone, after `fuse.`. Default: `name`. */
  readonly subtype?: string;
  /**
   * `'io_uring'`: the ring, or an error that says why not. `'dev_fuse'`: reads and writes on /dev/fuse.
   * `'auto'`, the default: the ring where the kernel offers it, otherwise /dev/fuse; `Mount.transport` and
   * `Mount.transportReason` say which it is and why.
   */
  readonly transport?: Transport | 'auto';
  /** Requests that can be in handlers at once, for each CPU's queue: 1 … 1024. Default 32. */
  readonly queueDepth?: number;
  /** Largest write (and read) in one request, bytes: 4096 … 16 MiB, a multiple of 4096. Default 1 MiB. */
  readonly maxWrite?: number;
  /** Background requests (readahead, write-back, asynchronous I/O) that the kernel lets run. Default 64. */
  readonly maxBackground?: number;
  /** How many filesystems may be stacked on backing files, 1 or 2; for the capability `PASSTHROUGH`. Default 1. */
  readonly maxStackDepth?: number;
  /**
   * Seconds after which the kernel ends the mount for a request without a reply; for the capability
   * `REQUEST_TIMEOUT`.
   */
  readonly requestTimeout?: number;
  /**
   * Milliseconds that handlers have for an answer, of every request or by operation:
   * `{ read: 1000, default: 30_000 }`. Then the caller gets ETIMEDOUT, and the request's `signal` is aborted.
   * A number, and `default`, are not for `setlkw`, whose caller asked to wait. Default: as long as it takes.
   *
   * With a deadline, `data`, `value` and `buffer` are memory of the request's own, as the handler may still be at
   * work on it afterwards: they cost a copy.
   */
  readonly timeout?: Timeouts;
  /**
   * Requests that can be in handlers at once, of all queues together; more wait. `setlkw` does not count, as it may
   * wait for another request. Default: as many as there are slots, see `queueDepth`.
   */
  readonly maxOutstanding?: number;
  /**
   * Bytes that requests in handlers may take, of all queues together: fewer can be in handlers at once than
   * `queueDepth` says if each took as much as it can, `maxWrite`. Each queue has one at least, and one more for each
   * `setlkw` that waits. Default: no limit but `queueDepth`.
   */
  readonly maxMemory?: number;
  /**
   * Find views of a request's memory (`data`, `value`, `buffer`) that are used after its reply: such a use throws,
   * and is reported to `onError`, with the place of the reply as its cause. It costs two copies of all data. Default:
   * false, or true if the environment has `RINGFUSE_CHECK_VIEWS=1`.
   */
  readonly checkViews?: boolean;
  /**
   * Milliseconds, 10 … 3 600 000, for which requests may wait while the event loop of their thread does not turn, as in
   * a synchronous call on the mount itself. Then that is reported on standard error, with what the thread is stuck in
   * and who waits, and on the `node:diagnostics_channel` `ringfuse:stall` when the loop turns again. Default 5000.
   */
  readonly stallTimeout?: number;
  /**
   * What else is done then. `'report'`, the default: nothing. `'fail'`: the requests are answered ETIMEDOUT; over
   * io_uring that cannot be done while the thread is stuck, and the mount is ended (`ERR_RINGFUSE_STALLED`).
   *
   * With either, a thread that surely waits for its own mount is helped at once, as nothing else can: its call fails
   * with ECANCELED. Over /dev/fuse the mount goes on, over io_uring it is ended.
   *
   * `'ignore'`: nobody looks. A thread that waits for its own mount over io_uring cannot be killed then.
   */
  readonly onStall?: OnStall;
  /** Seconds for which names may be cached, where a reply does not say. Default 1. */
  readonly entryTimeout?: number;
  /** Seconds for which attributes may be cached, where a reply does not say. Default 1. */
  readonly attrTimeout?: number;
  /** Open files with `FOPEN_DIRECT_IO` (no page cache), where a reply does not say. Default false. */
  readonly directIo?: boolean;
  /** Let other users in. Default false: only the user who mounted. */
  readonly allowOther?: boolean;
  /**
   * Let the kernel check permissions by mode, owner and group. Default: what `allowOther` is, so that other users have
   * no more rights than the modes say. Set it to `false` only for a filesystem that checks permissions itself.
   */
  readonly defaultPermissions?: boolean;
  /**
   * Have `fusermount3` unmount when this process is gone, however it ended, SIGKILL included. `fusermount3` mounts
   * then, also for root. Default false.
   */
  readonly autoUnmount?: boolean;
  /**
   * Take a mount whose server is gone ("Transport endpoint is not connected") away from the mountpoint first. A mount
   * that is alive is never touched. Default false: it is the error `ERR_RINGFUSE_STALE_MOUNT`.
   */
  readonly replaceStale?: boolean;
  /**
   * Capabilities of FUSE_INIT wanted beyond the defaults; one that the kernel does not offer is an error.
   * See `docs/capabilities.md`.
   */
  readonly capabilities?: readonly Capability[];
  /**
   * Further capabilities, taken where the kernel offers them and they go with the other options: what makes a
   * filesystem faster, and what it can do without. `Mount.capabilities` says which were taken.
   */
  readonly optionalCapabilities?: readonly Capability[];
  /**
   * Take over a connection whose server is gone, which agreed on this with the kernel: for `'/dev/fd/N'` alone, and
   * without a ring. See `docs/mounting.md`.
   */
  readonly agreement?: Agreement;
  /**
   * Unmount when SIGINT, SIGTERM or SIGHUP comes, and then let the signal end the process, or leave that to listeners
   * of the application. Further signals take effect after the unmount. Only for a mount that the main thread makes:
   * Node.js has no signals in worker threads. Default false: a process that a signal ends leaves its mountpoint behind,
   * as "Transport endpoint is not connected".
   */
  readonly handleSignals?: boolean;
  /**
   * Serve the mount in worker threads, each with the queues of its CPUs: the requests of a CPU never leave it. The
   * mount is not iterated over then; await `Mount.closed`. Default: the thread that calls `mount` serves.
   */
  readonly workers?: WorkersOptions;
  /** How serving threads wait for requests, and follow the CPU that they come from: see {@link PollingOptions}. */
  readonly polling?: PollingOptions;
  /** Ends the mount, as `destroy(signal.reason)`. */
  readonly signal?: AbortSignal;
  /**
   * Called for errors that cannot be returned to the calling process: a handler that threw something without an errno,
   * a reply of the wrong shape, the error that broke the mount. What it throws or rejects with is a process warning.
   * Default: a process warning, one line for each kind of error in ten seconds.
   */
  readonly onError?: (error: unknown, request: Request | undefined) => void;
}

const reactions: readonly string[] = ['report', 'fail', 'ignore'];
const LONGEST_WRITE = 16 << 20;
const PAGE = 4096;

/** Characters of a wrong value that an error shows. */
const LONGEST_VALUE = 200;

const string: Check = (value) => (typeof value === 'string' ? undefined : 'a string');
const seconds: Check = (value) =>
  typeof value === 'number' && value >= 0 ? undefined : 'a number of seconds from 0';
const capabilityNames: Check = (value) =>
  Array.isArray(value) && value.every((name) => Object.hasOwn(INIT, name))
    ? undefined
    : 'an array of FUSE_INIT flags by the names of linux/fuse.h without FUSE_';
const integer =
  (least: number, most: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      ? undefined
      : `a whole number from ${least} to ${most}`;

const agreement: Check = (value) => {
  if (typeof value !== 'object' || value === null) return 'what Mount.agreement was';
  const { minor, capabilities, maxWrite, maxPages } = value as Agreement;
  const wrong =
    integer(0, 65535)(minor) ??
    capabilityNames(capabilities) ??
    integer(PAGE, LONGEST_WRITE)(maxWrite) ??
    integer(0, 65535)(maxPages);
  return wrong === undefined ? undefined : 'what Mount.agreement was';
};

const workers: Check = (value) => {
  if (typeof value !== 'object' || value === null) return 'an object with a module';
  const { module, count, pin, ...others } = value as WorkersOptions;
  const url = module instanceof URL ? module.href : module;
  if (typeof url !== 'string' || !/^(\/|[a-z]+:)/.test(url))
    return 'an object whose module is an absolute path or a URL';
  const wrongCount = count === undefined ? undefined : integer(1, 1024)(count);
  if (wrongCount !== undefined) return `an object whose count is ${wrongCount}`;
  if (pin !== undefined && typeof pin !== 'boolean') return 'an object whose pin is true or false';
  const unknown = Object.keys(others).find((key) => key !== 'data');
  if (unknown !== undefined) return `an object with module, count, pin and data, without ${unknown}`;
  return isCloneable((value as WorkersOptions).data)
    ? undefined
    : 'an object whose data postMessage can clone, so without functions';
};

function isCloneable(data: unknown): boolean {
  try {
    structuredClone(data);
    return true;
  } catch {
    return false;
  }
}

/** A wrong value for an error, in one short line. */
function show(value: unknown): string {
  const text = inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY });
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE)} …`;
}

const polling: Check = (value) => {
  if (typeof value !== 'object' || value === null) return 'an object';
  for (const [option, given] of Object.entries(value)) {
    const range = Object.entries(POLLING_RANGES).find(([name]) => name === option)?.[1];
    if (range === undefined)
      return `an object with ${Object.keys(POLLING_RANGES).join(', ')}, without ${option}`;
    const expected = given === undefined ? undefined : integer(...range)(given);
    if (expected !== undefined) return `an object whose ${option} is ${expected}`;
  }
  return undefined;
};

/** What each option must be: a check says what it should have been. */
const checks: { readonly [Option in keyof MountOptions]-?: Check } = {
  ...mountFlagChecks,
  name: string,
  fsname: string,
  subtype: string,
  transport: oneOf('auto', 'io_uring', 'dev_fuse'),
  queueDepth: integer(1, 1024),
  maxWrite: (value) =>
    integer(PAGE, LONGEST_WRITE)(value) === undefined && (value as number) % PAGE === 0
      ? undefined
      : `a multiple of ${PAGE} up to ${LONGEST_WRITE}`,
  maxBackground: integer(1, 65535),
  maxStackDepth: integer(1, 2),
  requestTimeout: integer(1, 65535),
  // What is wrong with it, `limitsOf` says.
  timeout: () => undefined,
  maxOutstanding: integer(1, Number.MAX_SAFE_INTEGER),
  maxMemory: integer(1, Number.MAX_SAFE_INTEGER),
  checkViews: boolean,
  stallTimeout: integer(10, 3_600_000),
  onStall: (value) => (reactions.includes(value as string) ? undefined : `one of ${reactions.join(', ')}`),
  entryTimeout: seconds,
  attrTimeout: seconds,
  directIo: boolean,
  allowOther: boolean,
  defaultPermissions: boolean,
  autoUnmount: boolean,
  replaceStale: boolean,
  capabilities: capabilityNames,
  optionalCapabilities: capabilityNames,
  agreement,
  handleSignals: boolean,
  workers,
  polling,
  signal: (value) => (value instanceof AbortSignal ? undefined : 'an AbortSignal'),
  onError: (value) => (typeof value === 'function' ? undefined : 'a function'),
};

/** What `mount` was given, for those whom it concerns. */
export interface CheckedOptions {
  readonly native: NativeOptions;
  /** The number of an open /dev/fuse that was passed to this process, instead of a path. */
  readonly descriptor: number | undefined;
  readonly limits: Limits;
}

/** Options that say how to mount: of no use where somebody else has. */
const mounting: readonly (keyof MountOptions)[] = [
  ...(Object.keys(mountFlagChecks) as (keyof MountFlags)[]),
  'name',
  'fsname',
  'subtype',
  'allowOther',
  'autoUnmount',
  'replaceStale',
];

/** The number in `/dev/fd/N`; then options that go with a path alone are refused, and otherwise `agreement` is. */
function descriptorOf(path: string, options: MountOptions): number | undefined {
  const [, digits] = /^\/dev\/fd\/(\d{1,9})$/.exec(path) ?? [];
  if (digits === undefined) {
    if (options.agreement === undefined) return undefined;
    throw invalidOption('agreement', `it goes with /dev/fd/N alone, not with ${path}`);
  }
  const useless = mounting.find((option) => options[option] !== undefined);
  if (useless !== undefined)
    throw invalidOption(useless, `what ${path} refers to is mounted already: it is for who mounts`);
  return Number(digits);
}

/**
 * @internal Checks what `mount` was given and fills in the defaults that the native side needs.
 * @throws FuseError `ERR_RINGFUSE_OPTION` that names the option.
 */
export function checkOptions(path: unknown, options: MountOptions): CheckedOptions {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw invalidOption('path', `it must be a path, not ${show(path)}`);
  }
  if (typeof options !== 'object' || options === null)
    throw invalidOption('options', 'they must be an object');
  for (const [option, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, option)) {
      throw invalidOption(option, `there is no such option; there are ${Object.keys(checks).join(', ')}`);
    }
    if (value === undefined) continue;
    const expected = checks[option as keyof MountOptions](value);
    if (expected !== undefined) throw invalidOption(option, `it must be ${expected}, not ${show(value)}`);
  }
  if (options.workers !== undefined && process.permission?.has('worker') === false)
    throw invalidOption('workers', 'this process may have no worker threads: run node with --allow-worker');
  if (options.handleSignals && !isMainThread) {
    const remedy = 'mount there, with the option workers for other threads to serve, or have it call close()';
    throw invalidOption('handleSignals', `signals only reach the main thread: ${remedy}`);
  }
  const {
    name = 'ringfuse',
    transport = 'auto',
    queueDepth = 32,
    maxWrite = 1 << 20,
    maxBackground = 64,
  } = options;
  const { maxStackDepth = 1, requestTimeout = 0 } = options;
  const { fsname, subtype, allowOther = false, defaultPermissions } = options;
  const { autoUnmount = false, replaceStale = false } = options;
  const { capabilities = [], optionalCapabilities = [] } = options;
  return {
    limits: limitsOf(options),
    descriptor: descriptorOf(path, options),
    native: {
      name,
      fsname,
      subtype,
      transport,
      queueDepth,
      maxWrite,
      maxBackground,
      maxMemory: options.maxMemory ?? Number.POSITIVE_INFINITY,
      maxStackDepth,
      requestTimeout,
      allowOther,
      defaultPermissions,
      flags: mountFlags(options),
      autoUnmount,
      replaceStale,
      capabilities,
      optionalCapabilities,
      agreement: options.agreement,
      queueGroups: [],
    },
  };
}
