import { type InspectOptions, inspect } from 'node:util';
import { type ErrnoName, errnoFrom, errnoOf, FuseError } from './errors.ts';
import { IN_HEADER } from './generated/layout.ts';
import { readU64, WRONG_REPLY, wrongValue } from './numbers.ts';
import { completeText, debug } from './reporting.ts';
import { shownFields } from './shown.ts';
import { ARGUMENTS, type Slot } from './slot.ts';

export { readSize, readU64 } from './numbers.ts';
export { ARGUMENTS };

/**
 * What all requests share: the caller, and the reply, which is owed exactly once.
 *
 * Fields that are numbers are the request's own and stay; names, data and buffers are read from the kernel's
 * transfer memory, which is the request's until its reply.
 *
 * What is not for users is `private` of TypeScript, here and in the classes below, and not `#`: to initialise a `#` field
 * of a class with many subclasses V8 (11.3 to 13.6) has no fast path.
 */
export abstract class FuseRequest<Reply> {
  /** The operation, as the protocol names it in lower case. */
  declare readonly op: string;
  /** The caller's user id. */
  readonly uid: number;
  /** The caller's group id. */
  readonly gid: number;
  /** The caller's process id (thread id); 0 if the kernel itself asks, or from another pid namespace. */
  readonly pid: number;
  /** @internal */
  readonly nodeid: number;
  private slot: Slot | undefined;
  private controller: AbortController | undefined;
  private abortReason: FuseError | undefined;

  /** @internal */
  constructor(slot: Slot) {
    const { header } = slot;
    this.uid = header.getUint32(IN_HEADER.uid, true);
    this.gid = header.getUint32(IN_HEADER.gid, true);
    this.pid = header.getUint32(IN_HEADER.pid, true);
    this.nodeid = readU64(header, IN_HEADER.nodeid);
    this.slot = slot;
    slot.request = this;
  }

  /** The kernel's id of the request, for logs. */
  get unique(): bigint {
    return this.live().unique;
  }

  /** Whether the request was answered, or its mount ended. */
  get replied(): boolean {
    return this.slot === undefined;
  }

  /**
   * Aborted when the answer is not wanted any more. The reason's `code` says why: `'EINTR'`, the caller was interrupted
   * by a signal, and the reply is owed all the same (`fail('EINTR')` ends the call); `'ETIMEDOUT'`, the deadline has
   * passed and the caller was told so; `'ERR_RINGFUSE_CLOSED'`, the mount ended.
   */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.abortReason !== undefined) this.controller.abort(this.abortReason);
    }
    return this.controller.signal;
  }

  /**
   * Answers with a value, or with what a promise will give. A promise that rejects answers with its error. After the
   * deadline (`timeout` of the mount) nothing comes of it.
   *
   * @throws TypeError if the value does not have the operation's shape; the request is still to be answered.
   * @throws FuseError `ERR_RINGFUSE_REPLIED` if it was answered before, `ERR_RINGFUSE_CLOSED` after the mount ended.
   */
  reply(value: Reply | PromiseLike<Reply>): void {
    const then = thenOf(value);
    if (then !== undefined) {
      if (!this.overdue) this.live();
      this.follow(value, then);
    } else if (!this.overdue) {
      this.answer(value as Reply);
    }
  }

  /**
   * Answers with an error: an errno's name (`'ENOENT'`), its number, or an error that has a `code` or `errno`.
   * Any other error is an EIO for the caller, and reported.
   *
   * @throws FuseError as {@link FuseRequest.reply}.
   */
  fail(error: ErrnoName | number | Error): void {
    if (this.overdue) return;
    if (typeof error === 'object') {
      this.owed();
      this.failWith(error);
    } else {
      this.end(errnoFrom(error), 0);
    }
  }

  /** @internal Answers with an error, if an answer is still owed; reports what is no errno. */
  failWith(error: unknown): void {
    const slot = this.slot;
    if (slot === undefined) return;
    const errno = errnoOf(error);
    try {
      // While its names can still be read, and another errno chosen.
      if (errno === undefined) slot.channel.report(error, this);
      else if (debug.enabled) debug('%s: %s', this.op, completeText(error));
    } finally {
      if (this.slot !== undefined) this.end(errno ?? EIO, 0);
    }
  }

  /** Answers with what a promise, or anything with the method `then`, will give. */
  private follow(promise: unknown, then: Then): void {
    const settle = (value: unknown): void => this.settle(value as Reply);
    const fail = (error: unknown): void => this.failWith(error);
    if (then === nativeThen) promiseThen(promise, settle, fail);
    // Of what calls back twice, or with another promise, the language makes a promise that does not.
    else promiseThen(new Promise((...callbacks) => Reflect.apply(then, promise, callbacks)), settle, fail);
  }

  private settle(value: Reply): void {
    if (this.slot === undefined) return;
    try {
      this.answer(value);
    } catch (error) {
      this.failWith(error);
    }
  }

  private answer(value: Reply): void {
    const slot = this.owed();
    const length = this.encoded(slot, value);
    this.end(Math.max(-length, 0), Math.max(length, 0));
  }

  private encoded(slot: Slot, value: Reply): number {
    slot.encoding = true;
    try {
      slot.channel.fields?.check(this, value);
      return this.encode(value);
    } catch (error) {
      throw naming(error, this.op);
    } finally {
      slot.encoding = false;
    }
  }

  private end(error: number, length: number): void {
    const slot = this.owed();
    this.slot = undefined;
    slot.request = undefined;
    slot.takeBack(this);
    slot.channel.answered(slot, error, length);
  }

  /** The caller was told that the deadline has passed. */
  private get overdue(): boolean {
    return this.slot === undefined && this.abortReason?.code === OVERDUE;
  }

  /**
   * @internal Writes the reply into the slot's payload.
   * @returns The reply's length, or a negative errno.
   */
  encode(reply: Reply): number {
    if (reply !== undefined) throw wrongValue('value', 'nothing', reply);
    return 0;
  }

  /** @internal The slot, as long as the reply is owed. */
  live(): Slot {
    if (this.slot === undefined) {
      throw this.abortReason?.code === CLOSED || this.overdue
        ? this.abortReason
        : new FuseError('ERR_RINGFUSE_REPLIED', `${this.op}: the request was answered already`);
    }
    return this.slot;
  }

  /** The slot, if a reply can be given now: not while one is read, by code that this runs. */
  private owed(): Slot {
    const slot = this.live();
    if (slot.encoding) {
      throw new FuseError('ERR_RINGFUSE_REPLIED', `${this.op}: the request is being answered`);
    }
    return slot;
  }

  /**
   * For `console.log` and logs: the operation and its fields. A bigint is a string of digits, and bytes are their
   * number. Names that were not read before the reply are missing after it.
   */
  toJSON(): Record<string, unknown> {
    const size = (): number => this.live().data().length;
    return { op: this.op, ...shownFields(this, FuseRequest.prototype, INTERNAL, size) };
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptions): string {
    return `${this.constructor.name} ${inspect(this.toJSON(), { ...options, depth })}`;
  }

  /** @internal The caller does not want the answer any more. */
  interrupt(): void {
    // The listener of another request that was interrupted with it may have answered this one.
    if (this.slot === undefined) return;
    this.abort(new FuseError('EINTR', `${this.op}: the caller was interrupted`));
  }

  /** @internal The deadline has passed: the caller is told, and what the handler replies later is dropped. */
  expire(reason: FuseError): void {
    this.end(ETIMEDOUT, 0);
    this.abort(reason);
  }

  /**
   * @internal The watchdog answered the caller: the reply is discarded. The request keeps its slot until then, as its
   * handler may be using the memory.
   */
  discard(reason: FuseError): void {
    this.abort(reason);
  }

  /** @internal The mount ended: nobody can be answered. */
  abandon(): void {
    this.slot?.takeBack(this);
    this.slot = undefined;
    this.abort(new FuseError(CLOSED, `${this.op}: the mount has ended`));
  }

  private abort(reason: FuseError): void {
    this.abortReason = reason;
    this.controller?.abort(reason);
  }
}

/** Fields that are not the request's own. */
const INTERNAL: ReadonlySet<string> = new Set([
  'nodeid',
  'slot',
  'controller',
  'abortReason',
  'decodedName',
  'decodedNewName',
  'decodedTarget',
  'lentBuffer',
]);

const EIO = errnoFrom('EIO');
const ETIMEDOUT = errnoFrom('ETIMEDOUT');
const OVERDUE = 'ETIMEDOUT';
const CLOSED = 'ERR_RINGFUSE_CLOSED';

/** A request on one node. */
export abstract class NodeRequest<Reply> extends FuseRequest<Reply> {
  /** The node. */
  get ino(): number {
    return this.nodeid;
  }
}

/** A request whose payload begins with a name. */
export abstract class NamedRequest<Reply> extends FuseRequest<Reply> {
  private decodedName: string | undefined;

  /** The name; bytes that are not UTF-8 survive, see {@link decodeName}. To be read before the reply. */
  get name(): string {
    this.decodedName ??= this.live().name(0);
    return this.decodedName;
  }

  /** The name as the kernel sent it, without the NUL: a copy. To be read before the reply. */
  get nameBytes(): Buffer {
    return this.live().nameBytes(0);
  }
}

/** The TypeError for a wrong reply, with the operation's name. */
function naming(error: unknown, op: string): unknown {
  if (error instanceof TypeError && error.message.startsWith(WRONG_REPLY)) {
    const { stack } = error;
    error.message = `${op} ${error.message}`;
    error.stack = stack?.replace(WRONG_REPLY, `${op} ${WRONG_REPLY}`);
  }
  return error;
}

type Then = (resolve: (value: unknown) => void, reject: (error: unknown) => void) => unknown;

const { then: nativeThen } = Promise.prototype;
const promiseThen = Function.prototype.call.bind(nativeThen) as (
  promise: unknown,
  ...callbacks: Parameters<Then>
) => unknown;

/** The method `then` of a value, which is read once. */
function thenOf(value: unknown): Then | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { then } = value as { readonly then?: unknown };
  return typeof then === 'function' ? (then as Then) : undefined;
}
