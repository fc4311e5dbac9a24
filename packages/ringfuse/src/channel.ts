import { constants } from 'node:fs';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import type { NativeChannel, NativeMemory, NativePayloads, NativeStall } from './binding.ts';
import { Checking } from './checking.ts';
import { Deadlines } from './deadlines.ts';
import { errnoOf, FuseError, fromNative } from './errors.ts';
import { FOPEN, NOTIFY_RETRIEVE_IN, OPCODE, OPEN_IN } from './generated/layout.ts';
import type { Limits } from './limits.ts';
import { CertainAnswer, Wide } from './numbers.ts';
import { Polling, type ResolvedPolling } from './polling.ts';
import { writeOpen } from './replies/entry.ts';
import { FieldCheck } from './replies/fields.ts';
import { NO_FIGURES, writeStatfs } from './replies/statfs.ts';
import { NodeTypes } from './replies/types.ts';
import type { FuseRequest } from './request.ts';
import { makeRequest, type Request } from './requests/index.ts';
import { ARGUMENTS, Slot } from './slot.ts';
import { answeredInPlace, type Stall, stallOf } from './stalls.ts';

/** What replies say where they leave something out. */
export interface Defaults {
  readonly entryTimeout: number;
  readonly attrTimeout: number;
  readonly openFlags: number;
  /** Whether `FOPEN.PASSTHROUGH` was agreed on. */
  readonly passthrough: boolean;
}

/** What all channels of a mount are made with. */
export interface ChannelSettings {
  readonly defaults: Defaults;
  readonly limits: Limits;
  /**
   * Whether `lseek` is for the filesystem. With WRITEBACK_CACHE it is not: Linux (6.18) asks before it has written back
   * what it caches, so that no answer could be right. After ENOSYS it answers from its cache: all is data.
   */
  readonly lseek: boolean;
  /**
   * Whether the kernel may open files itself, as it does from the first ENOSYS to an OPEN on. Not where OPEN is more than
   * that: with ATOMIC_O_TRUNC it truncates, with `directIo` its reply says so.
   */
  readonly kernelOpens: boolean;
  /** The `S_IF*` bits of the root, as who mounted told the kernel; 0 if that was somebody else. */
  readonly rootType: number;
  /** Whether one thread answers all requests. */
  readonly sole: boolean;
  /** See {@link Wide}. */
  readonly wide: Int32Array;
  readonly polling: ResolvedPolling;
}

/** Where the channel's requests and troubles go. */
export interface ChannelOwner {
  /** An error that no caller can be told of. */
  report(error: unknown, request: Request | undefined): void;
  /** The kernel's answer to a notification that asked for data. */
  retrieved(unique: bigint, data: Buffer): void;
  /** Requests are ready: {@link Channel.next} has them. */
  ready(): void;
  /** This thread did not come to its requests. */
  stalled(stall: Stall): void;
  /** The connection to the kernel ended; an error if it broke. */
  ended(error?: unknown): void;
}

const { O_TRUNC } = constants;

// The words of the exchange, as `crates/ringfuse-node/src/exchange.rs` has them.
const ENDED = 0;
const READY = 1;
const INTERRUPTED = 2;
const COMMITS = 3;
const POLL = 4;
const LISTS = 5;
const COMMIT_WORDS = 3;

/**
 * This thread's channel to the kernel: takes batches of ready slots, hands out their requests, and gives the
 * replies back, a batch a call.
 */
export class Channel {
  readonly defaults: Defaults;
  /** @internal */
  readonly wide: Wide;
  /** @internal In development. */
  readonly fields: FieldCheck | undefined;
  /** @internal What the kernel knows nodes by. */
  readonly types: NodeTypes;
  /** @internal */
  readonly checking: Checking | undefined;
  readonly #deadlines: Deadlines | undefined;
  readonly #limits: Limits;
  readonly #lseek: boolean;
  readonly #kernelOpens: boolean;
  readonly #native: NativeChannel;
  readonly #owner: ChannelOwner;
  readonly #memory: NativeMemory;
  readonly #payloads: NativePayloads[] = [];
  readonly #exchange: Uint32Array;
  readonly #turnNative: () => void;
  readonly #slots: (Slot | undefined)[];
  readonly #interruptedList: number;
  readonly #commitList: number;
  readonly #polling: Polling;
  readonly #loopTurn: number;
  /** Slots of the last batch, and how many of them were handed out. */
  #batch = 0;
  #taken = 0;
  /** Slots of the batch whose requests were interrupted before they were handed out. */
  readonly #interrupted: Set<number> = new Set();
  /** Requests that count for {@link Limits.maxOutstanding}. */
  #counted = 0;
  #commits = 0;
  #flushing = false;
  #loopTurnEnds = 0;
  #ended = false;

  constructor(
    native: NativeChannel,
    { defaults, limits, lseek, kernelOpens, rootType, sole, wide, polling }: ChannelSettings,
    owner: ChannelOwner,
  ) {
    this.defaults = defaults;
    this.types = new NodeTypes(rootType, sole);
    this.wide = new Wide(wide);
    if (process.env.NODE_ENV !== 'production') {
      this.fields = new FieldCheck((error, request) => this.report(error, request));
    }
    this.#lseek = lseek;
    this.#kernelOpens = kernelOpens;
    this.#polling = new Polling(polling);
    this.#loopTurn = polling.loopTurn;
    native.setFollow(polling.follow);
    this.#native = native;
    this.#owner = owner;
    this.#memory = native.memory();
    this.#exchange = new Uint32Array(this.#memory.exchange);
    this.#turnNative = native.turnFunction();
    this.#slots = new Array(this.#memory.slots).fill(undefined);
    this.#interruptedList = LISTS + this.#memory.slots;
    this.#commitList = LISTS + 2 * this.#memory.slots;
    this.#limits = limits;
    if (limits.timeouts !== undefined) {
      this.#deadlines = new Deadlines(limits.timeouts, this.#slots, () => native.countTimeout());
    }
    if (limits.checkViews) this.checking = new Checking((error, request) => this.report(error, request));
  }

  /** Serves the mount that this thread made: it ends with the thread's environment. `finish` answers FUSE_INIT. */
  start(finish: () => void): void {
    finish();
    this.join(true);
  }

  /**
   * Gives the kernel the slots, and begins to take requests when the event loop says that there are some. With
   * `ownsMount`, the mount ends with this thread's environment.
   */
  join(ownsMount: boolean): void {
    this.#native.start();
    this.#native.listen(() => this.#readable(), ownsMount);
    const { stallTimeout, failOnStall } = this.#limits;
    if (stallTimeout !== undefined) {
      this.#native.watchStalls(stallTimeout, failOnStall, (stall) => this.#stalled(stall));
    }
  }

  /** Whether the channel keeps the event loop alive: so it does at first. */
  setRef(keepAlive: boolean): void {
    this.#native.setRef(keepAlive);
  }

  /** Requests that handlers hold. */
  get outstanding(): number {
    let count = 0;
    for (const slot of this.#slots) if (slot?.request !== undefined) count++;
    return count;
  }

  /**
   * The next request; undefined if none is ready: then {@link ChannelOwner.ready} is called when one is.
   *
   * When a batch is used up, its replies go to the kernel and the next batch is taken at once, without going
   * through the event loop, but not for longer than {@link PollingOptions.loopTurn}: then the loop gets its turn.
   */
  next(): Request | undefined {
    for (;;) {
      while (this.#taken < this.#batch) {
        if (this.#counted >= this.#limits.maxOutstanding) return undefined;
        const request = this.#receive(this.#exchange[LISTS + this.#taken++]);
        if (request !== undefined) return request;
      }
      if (this.#ended || !this.#turnAgain()) return undefined;
    }
  }

  /** The slot's request is answered: see {@link Channel.commit}. */
  answered(slot: Slot, error: number, length: number): void {
    if (this.#counts(slot)) this.#counted--;
    if (slot.detached) {
      this.commit(slot.index, EIO, 0);
      this.#fail(detached(slot.index));
    } else if (error === ENOSYS && slot.opcode === OPCODE.OPEN && !this.#kernelOpens) {
      this.#commitOpen(slot);
    } else if (error === ENOSYS && slot.opcode === OPCODE.STATFS) {
      this.commit(slot.index, 0, writeStatfs(slot, NO_FIGURES));
    } else {
      this.commit(slot.index, error, length);
    }
  }

  /** ENOSYS to an OPEN, kept from a kernel that is to go on asking: the file is open, with the pages that it has. */
  #commitOpen(slot: Slot): void {
    if (slot.header.getUint32(ARGUMENTS + OPEN_IN.flags, true) & O_TRUNC)
      this.commit(slot.index, EOPNOTSUPP, 0);
    else
      this.commit(slot.index, 0, writeOpen(slot, { openFlags: this.defaults.openFlags || FOPEN.KEEP_CACHE }));
  }

  /** A reply is in its slot: it goes to the kernel with the batch, or when the code that runs now is done. */
  commit(slot: number, error: number, length: number): void {
    if (this.#ended) return;
    const at = this.#commitList + this.#commits++ * COMMIT_WORDS;
    this.#exchange[at] = slot;
    this.#exchange[at + 1] = error;
    this.#exchange[at + 2] = length;
    if (!this.#flushing) {
      this.#flushing = true;
      process.nextTick(flush, this);
    }
  }

  /** @internal Gives the replies that wait to the kernel. */
  flush(): void {
    this.#flushing = false;
    if (this.#commits === 0 || this.#ended) return;
    this.#turn(0);
    if (this.#taken < this.#batch) this.#owner.ready();
  }

  /** Tells of an error that no caller can be told of. */
  report(error: unknown, request: FuseRequest<unknown> | undefined): void {
    this.#owner.report(error, request as Request | undefined);
  }

  /** Lets go of the kernel; requests that handlers still hold are abandoned. */
  close(): void {
    this.#ended = true;
    this.#deadlines?.close();
    for (const slot of this.#slots) {
      const request = slot?.request;
      if (slot !== undefined) slot.request = undefined;
      request?.abandon();
    }
    this.checking?.close();
    this.#native.close();
  }

  /** The event loop says that the kernel has something. */
  #readable(): void {
    if (this.#ended) return;
    const now = performance.now();
    this.#polling.wake(now);
    this.#loopTurnEnds = now + this.#loopTurn;
    this.#turn(0);
    if (this.#taken < this.#batch) this.#owner.ready();
  }

  /** Takes the next batch; false if there is none, or the event loop is to have its turn first. */
  #turnAgain(): boolean {
    const now = performance.now();
    if (now > this.#loopTurnEnds) {
      this.#turn(0);
      if (this.#batch === 0) this.#polling.park(now);
      else setImmediate(resume, this);
      return false;
    }
    const { look } = this.#polling;
    this.#turn(look);
    if (look > 0) this.#polling.looked(this.#batch > 0);
    if (this.#batch === 0) this.#polling.park(performance.now());
    return this.#batch > 0;
  }

  /** @internal The event loop had its turn. */
  resume(): void {
    this.#loopTurnEnds = performance.now() + this.#loopTurn;
    if (!this.#ended && this.#taken < this.#batch) this.#owner.ready();
  }

  /** Gives the commits to the kernel and appends what is ready to the batch. */
  #turn(pollMicroseconds: number): void {
    const waiting =
      this.#taken < this.#batch ? this.#exchange.slice(LISTS + this.#taken, LISTS + this.#batch) : undefined;
    this.#exchange[COMMITS] = this.#commits;
    this.#exchange[POLL] = pollMicroseconds;
    this.#commits = 0;
    this.#taken = 0;
    this.#batch = 0;
    try {
      this.#turnNative();
      this.#batch = this.#exchange[READY];
    } catch (error) {
      this.#fail(fromNative(error));
      return;
    }
    const interrupted = this.#exchange[INTERRUPTED] > 0 ? this.#takeInterrupted() : undefined;
    if (waiting !== undefined) this.#prepend(waiting);
    const ended = this.#exchange[ENDED] !== 0;
    if (ended) this.#ended = true;
    // The rest runs the filesystem's code, which may turn the channel again: the exchange is not read after it.
    if (interrupted !== undefined) for (const request of interrupted) request.interrupt();
    if (ended) this.#owner.ended();
  }

  /** The requests that the turn found interrupted; those that were not handed out are marked. */
  #takeInterrupted(): FuseRequest<unknown>[] {
    const requests: FuseRequest<unknown>[] = [];
    for (let index = 0; index < this.#exchange[INTERRUPTED]; index++) {
      const slot = this.#exchange[this.#interruptedList + index];
      const request = this.#slots[slot]?.request;
      if (request === undefined) this.#interrupted.add(slot);
      else requests.push(request);
    }
    return requests;
  }

  /** Slots that were ready before come first; together they are never more than there are slots. */
  #prepend(waiting: Uint32Array): void {
    this.#exchange.copyWithin(LISTS + waiting.length, LISTS, LISTS + this.#batch);
    this.#exchange.set(waiting, LISTS);
    this.#batch += waiting.length;
  }

  /**
   * The watchdog asked for a sign of life, which this is, or reports a stall. It may have taken requests in this thread's
   * place: the event loop knows nothing of them.
   */
  #stalled(stall: NativeStall | null): void {
    if (this.#ended) return;
    if (stall !== null) this.#reportStall(stall);
    this.#readable();
  }

  #reportStall(stall: NativeStall): void {
    this.#owner.stalled(stallOf(stall));
    if (stall.outcome !== 'answered') return;
    for (const { slot: index, unique } of stall.requests) {
      const slot = this.#slots[index];
      if (slot?.request === undefined || Number(slot.unique) !== unique) continue;
      slot.request.discard(answeredInPlace(slot.request.op));
    }
  }

  #receive(index: number): Request | undefined {
    const slot = this.#slots[index] ?? this.#makeSlot(index);
    if (slot === undefined) return undefined;
    // The mark belongs to this request, however it is answered.
    const interrupted = this.#interrupted.size > 0 && this.#interrupted.delete(index);
    if (slot.detached) {
      this.#fail(detached(index));
      return undefined;
    }
    if (slot.opcode === OPCODE.NOTIFY_REPLY) {
      this.#owner.retrieved(slot.unique, Buffer.from(slot.data().subarray(NOTIFY_RETRIEVE_IN.SIZE)));
      this.commit(index, 0, 0);
      return undefined;
    }
    try {
      const request = slot.opcode === OPCODE.LSEEK && !this.#lseek ? undefined : makeRequest(slot);
      if (request === undefined) this.commit(index, ENOSYS, 0);
      else this.#begin(slot, request, interrupted);
      return request;
    } catch (error) {
      slot.request = undefined;
      if (error instanceof CertainAnswer) {
        slot.payload.fill(0, 0, error.length);
        this.commit(index, error.errno, error.length);
      } else {
        this.commit(index, errnoOf(error) ?? EIO, 0);
      }
      return undefined;
    }
  }

  /** A request is handed out. */
  #begin(slot: Slot, request: Request, interrupted: boolean): void {
    if (this.#counts(slot)) this.#counted++;
    this.#deadlines?.begin(slot, performance.now());
    if (interrupted) request.interrupt();
  }

  /** Whether the slot's request is one of those that {@link Limits.maxOutstanding} limits: not if it may wait for one. */
  #counts(slot: Slot): boolean {
    return this.#limits.maxOutstanding !== Number.POSITIVE_INFINITY && slot.opcode !== OPCODE.SETLKW;
  }

  #fail(error: FuseError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.ended(error);
  }

  /** Makes a slot when its first request comes; the channel fails if its memory is not there. */
  #makeSlot(index: number): Slot | undefined {
    try {
      const { headers, headerStride, payloadSize } = this.#memory;
      const region = this.#payloadsOf(index);
      // Other slots have their payloads in the same buffer.
      if (region.buffer.byteLength === 0) throw detached(index);
      const offset = region.offset + (index - region.firstSlot) * region.stride;
      const header = new DataView(headers, index * headerStride, headerStride);
      const slot = new Slot(this, index, header, Buffer.from(region.buffer, offset, payloadSize));
      this.#slots[index] = slot;
      return slot;
    } catch (error) {
      this.#fail(fromNative(error));
      return undefined;
    }
  }

  /** The mapping with the slot's payload: they are made as slots are needed. */
  #payloadsOf(index: number): NativePayloads {
    const has = ({ firstSlot, slots }: NativePayloads): boolean =>
      firstSlot <= index && index < firstSlot + slots;
    let region = this.#payloads.find(has);
    if (region === undefined) {
      this.#payloads.push(...this.#native.payloads(this.#payloads.length));
      region = this.#payloads.find(has);
      if (region === undefined) throw new RangeError(`slot ${index} has no payload`);
    }
    return region;
  }
}

function detached(index: number): FuseError {
  const message = `the memory of slot ${index} was transferred away, as by ArrayBuffer.prototype.transfer(): copy what is to be kept`;
  return new FuseError('ERR_RINGFUSE_DETACHED', message);
}

const flush = (channel: Channel): void => channel.flush();
const resume = (channel: Channel): void => channel.resume();
const ENOSYS = errnoOf({ code: 'ENOSYS' }) ?? 0;
const EOPNOTSUPP = errnoOf({ code: 'EOPNOTSUPP' }) ?? 0;
const EIO = errnoOf({ code: 'EIO' }) ?? 0;
