/** Views of a request's memory that are used after its reply: found, at the cost of a copy of each. */

import { bufferOf, lengthOf } from './bytes.ts';
import { FuseError } from './errors.ts';
import type { FuseRequest } from './request.ts';

/** What memory is filled with when it is no handler's any more. */
const SPENT = 0xa5;

/** Milliseconds for which the memory is watched after the reply, at least. */
const WATCH = 200;

/** So much memory is watched at most, bytes: beyond that the oldest is looked at early. */
const MOST_WATCHED = 32 << 20;

/** Told of a use, as `onError`. */
type Report = (error: FuseError, request: FuseRequest<unknown>) => void;

/** Memory whose request was answered. */
interface Spent {
  readonly bytes: Uint8Array;
  readonly request: FuseRequest<unknown>;
  readonly reply: Error;
  readonly since: number;
}

/**
 * The checking mode. A handler sees its request's bytes in memory of their own, which is taken from its views with
 * the reply. JavaScript that then uses the view it was given finds an exception; a system call that still
 * writes through it, such as a read that was not awaited, is found by what it leaves.
 */
export class Checking {
  readonly #report: Report;
  readonly #watched: Spent[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(report: Report) {
    this.#report = report;
  }

  /** The request was answered, here: takes its bytes from the handler. */
  spend(view: Buffer, request: FuseRequest<unknown>): void {
    // Nothing to look at, or the handler has transferred it away.
    if (lengthOf(view) === 0) return;
    const reply = new Error(`${request.op} ${request.nodeid} was answered here`);
    const memory = bufferOf(view) as ArrayBuffer;
    const bytes = new Uint8Array(structuredClone(memory, { transfer: [memory] })).fill(SPENT);
    // A view that its handler made unextensible keeps its prototype: its elements are gone all the same.
    Reflect.setPrototypeOf(view, this.#spentPrototype(request, reply));
    this.#watched.push({ bytes, request, reply, since: performance.now() });
    this.#bytes += bytes.length;
    while (this.#bytes > MOST_WATCHED) this.#lookAtOldest();
    this.#timer ??= setTimeout(() => this.#look(), WATCH).unref();
  }

  /** Looks at what is still watched. */
  close(): void {
    clearTimeout(this.#timer);
    while (this.#watched.length > 0) this.#lookAtOldest();
  }

  /** Any property of a view that has it throws; its elements are gone with its memory. */
  #spentPrototype(request: FuseRequest<unknown>, reply: Error): object {
    const refuse = (use: string): never => {
      const error = used(request, `a view of its memory was used (${use})`, reply);
      this.#report(error, request);
      throw error;
    };
    return new Proxy(Object.create(null), {
      get: (_, property) => refuse(String(property)),
      set: (_, property) => refuse(String(property)),
      has: (_, property) => refuse(String(property)),
    });
  }

  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    while (this.#watched.length > 0 && now - this.#watched[0].since >= WATCH) this.#lookAtOldest();
    if (this.#watched.length > 0) this.#timer = setTimeout(() => this.#look(), WATCH).unref();
  }

  #lookAtOldest(): void {
    const spent = this.#watched.shift();
    if (spent === undefined) return;
    this.#bytes -= spent.bytes.length;
    if (spent.bytes.every((byte) => byte === SPENT)) return;
    this.#report(used(spent.request, 'something wrote to its memory', spent.reply), spent.request);
  }
}

function used({ op, nodeid }: FuseRequest<unknown>, what: string, reply: Error): FuseError {
  const message = `${op} ${nodeid}: ${what} after the reply: copy what is needed later, or reply later`;
  return new FuseError('ERR_RINGFUSE_VIEW', message, { cause: reply });
}
