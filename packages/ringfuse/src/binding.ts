/** What `crates/ringfuse-node` exports. */

import type { SystemCalls } from './system-calls/calls.ts';

/** What was agreed on with the kernel. */
export interface NativeAgreement {
  readonly minor: number;
  readonly capabilities: readonly string[];
  readonly maxWrite: number;
  readonly maxPages: number;
}

/** The options of a mount, all of them given. */
export interface NativeOptions {
  readonly name: string;
  readonly fsname: string | undefined;
  readonly subtype: string | undefined;
  readonly transport: string;
  readonly queueDepth: number;
  readonly maxWrite: number;
  readonly maxBackground: number;
  /** Bytes, or `Infinity`. */
  readonly maxMemory: number;
  readonly maxStackDepth: number;
  readonly requestTimeout: number;
  readonly allowOther: boolean;
  readonly defaultPermissions: boolean | undefined;
  /** Names of mount(8). */
  readonly flags: readonly string[];
  readonly autoUnmount: boolean;
  readonly replaceStale: boolean;
  readonly capabilities: readonly string[];
  readonly optionalCapabilities: readonly string[];
  readonly agreement: NativeAgreement | undefined;
  /** The queues of each channel, together each queue once; empty: one channel has all. */
  readonly queueGroups: readonly (readonly number[])[];
}

/** The payloads of some slots. */
export interface NativePayloads {
  readonly buffer: ArrayBuffer;
  readonly firstSlot: number;
  readonly slots: number;
  /** Bytes between the starts of two payloads. */
  readonly stride: number;
  /** Where the first payload begins. */
  readonly offset: number;
}

/** The memory that both sides share. */
export interface NativeMemory {
  /** How many slots there can be. */
  readonly slots: number;
  readonly headerStride: number;
  readonly payloadSize: number;
  readonly headers: ArrayBuffer;
  readonly exchange: ArrayBuffer;
}

/** Counters since the mount began. */
export interface Stats {
  /** Requests that came by the ring. */
  readonly ringRequests: number;
  /** Requests that came by /dev/fuse: all of them there, or FORGET and INTERRUPT beside the ring. */
  readonly deviceRequests: number;
  /** Replies given. */
  readonly replies: number;
  /** Replies that the kernel refused, because the request or the connection was gone. */
  readonly refusedReplies: number;
  /** Nodes that the kernel forgot. */
  readonly forgetRequests: number;
  /** Requests whose callers were interrupted. */
  readonly interrupts: number;
  /** Requests that were malformed, and answered EIO. */
  readonly malformed: number;
  /** `io_uring_enter` system calls. */
  readonly enters: number;
  /** Batches of requests taken from the kernel at once. */
  readonly batches: number;
  /** Requests that were taken and not answered yet. */
  readonly outstanding: number;
  /** Requests whose deadlines passed: see `timeout`. */
  readonly timeouts: number;
  /** Times that a serving thread stalled: see `stallTimeout`. */
  readonly stalls: number;
  /** Places of requests that were made so far. */
  readonly slots: number;
  /** Bytes of address space that they take: memory is only paid for what was used of them. */
  readonly slotBytes: number;
}

/** A serving thread that did not come to its requests. */
export interface NativeStall {
  readonly path: string;
  readonly milliseconds: number;
  readonly waiting: number | null | undefined;
  readonly cause: 'own-mount' | 'child' | 'busy' | 'kernel' | 'asleep';
  readonly outcome: 'waiting' | 'answered' | 'ended';
  readonly message: string;
  readonly requests: readonly {
    readonly slot: number;
    /** As a number, rounded. */
    readonly unique: number;
    readonly opcode: number;
    readonly pid: number;
  }[];
  readonly callers: readonly {
    readonly pid: number;
    readonly program: string;
    readonly call: string | null | undefined;
  }[];
}

/** One mount, in one of the environments that serve it. */
export interface NativeMount {
  /** What `attach` finds the mount by in other environments of the process. */
  readonly token: number;
  readonly path: string;
  readonly maker: 'mount' | 'fusermount3' | 'other';
  readonly noRing: string | null;
  readonly queues: number;
  readonly queueDepth: number;
  readonly agreement: NativeAgreement;
  /** Takes a channel, for this environment's thread to serve. */
  channel(index: number): NativeChannel;
  /** Answers FUSE_INIT: the kernel lets requests through as soon as all channels are started. */
  finish(): void;
  stats(): Stats;
  /** Why the mount was ended because of a stall. */
  stalled(): string | null;
  notify(code: number, body: Uint8Array): Promise<number>;
  openBacking(fd: number): number;
  closeBacking(id: number): void;
  unmount(force: boolean): Promise<void>;
  unmountNow(): void;
  /** Takes back all backing files, and releases the connection and the channels that no environment took. */
  close(): void;
  /** Lets go of the connection, in an environment that did not make the mount. */
  detach(): void;
}

/** The queues, or the reader of /dev/fuse, that one environment's thread serves. */
export interface NativeChannel {
  start(): void;
  memory(): NativeMemory;
  payloads(known: number): NativePayloads[];
  /** Calls `ready` whenever a turn has something to do. With `ownsMount`, the mount ends with the environment. */
  listen(ready: () => void, ownsMount: boolean): void;
  /** Makes the function that hands the exchange's commits to the kernel and leaves there what is ready. */
  turnFunction(): () => void;
  /** Lets the serving thread move to the CPU that so many batches in a row came from; 0, as at first: never. */
  setFollow(batches: number): void;
  setRef(keepAlive: boolean): void;
  countTimeout(): void;
  /** Has this thread watched; `told` is called with nothing as a sign of life, and with what was found. */
  watchStalls(timeout: number, fail: boolean, told: (stall: NativeStall | null) => void): void;
  close(): void;
}

/** A mount that is being made. */
export interface NativeMounting {
  begin(path: string, options: NativeOptions, descriptor: number | undefined): Promise<NativeMount>;
  abandon(): void;
}

/** A table of nodes. */
export interface NativeNodes {
  readonly id: number;
  readonly size: number;
  readonly root: number;
  enter(fd: number, statx: Uint8Array): number;
  enterAgain(statx: Uint8Array): number;
  count(number: number): boolean;
  setMappable(number: number): boolean;
  isMappable(number: number): boolean;
  borrow(number: number): number;
  giveBack(fd: number): void;
  dropOld(): boolean;
  keep(statx: Uint8Array): void;
  forget(number: number, lookups: number): number;
  device(statx: Uint8Array): number;
  hold(fd: number): number;
  release(fd: number): void;
  beginOpen(number: number, writes: boolean): number;
  openAgain(number: number): number;
  setBacking(number: number, id: number): void;
  endOpen(number: number, writes: boolean): number;
  isWritten(number: number): boolean;
  cleared: number;
  close(): void;
}

/** The native addon. */
export interface Binding extends SystemCalls {
  readonly NativeMounting: new () => NativeMounting;
  readonly NativeMount: { attach(token: number): NativeMount };
  /** The mounts that this process serves, by the minor numbers of their devices. */
  ownConnections(): number[];
  /** Number of the kernel's queues, which are the possible CPUs by number. */
  possibleCpus(): number;
  /** Lets this thread run on these CPUs only; false if it may run on none of them. */
  pinThread(cpus: readonly number[]): boolean;
  readonly NativeNodes: { new (descriptors: number): NativeNodes; attach(id: number): NativeNodes };
  probeIoUring(): string | null;
  probeFusermount(): { readonly found?: string; readonly problem?: string; readonly remedy?: string };
}
