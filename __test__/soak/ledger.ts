/** What the kernel owes a filesystem: lookups that it has not taken back. */

import {
  FuseError,
  type FuseRequest,
  type Handlers,
  type Operation,
  operations,
  type Requests,
} from 'ringfuse';
import type { Random } from '../support/random.ts';

/** Operations whose reply counts as a lookup of the node that it names. */
const ENTRIES: readonly Operation[] = ['lookup', 'create', 'mkdir', 'mknod', 'symlink', 'link', 'tmpfile'];

/** Operations that are answered later now and then: what they do is done only then. */
const DELAYED: readonly Operation[] = [
  'lookup',
  'getattr',
  'create',
  'open',
  'read',
  'write',
  'setattr',
  'readdirplus',
];

/** One in so many of them. */
const DELAY_SHARE = 10;

/**
 * The group of callers whose interrupts are heeded: those that make a call again for EINTR. Other programs do not
 * expect it of files.
 */
export const HEEDED_GROUP = 4242;

/** Milliseconds that they wait at most. */
const LONGEST_DELAY = 4;

type Any = (request: FuseRequest<unknown>) => unknown;

/** A filesystem between the kernel and another one: it counts lookups, delays replies, and heeds interrupts. */
export class Ledger {
  readonly handlers: Handlers;
  readonly #lookups: Map<number, number> = new Map();
  readonly #random: Random;
  #mistakes = 0;
  #delays = 0;
  #heeded = 0;

  constructor(handlers: Handlers, random: Random) {
    this.#random = random;
    this.handlers = this.#wrapped(handlers);
  }

  /** Nodes that the kernel knows. */
  get nodes(): readonly number[] {
    return [...this.#lookups.keys()];
  }

  /** Times that the kernel took back more lookups than it had. */
  get mistakes(): number {
    return this.#mistakes;
  }

  /** Replies that came later. */
  get delays(): number {
    return this.#delays;
  }

  /** Delayed requests that were interrupted, and failed with EINTR before anything was done. */
  get heeded(): number {
    return this.#heeded;
  }

  #wrapped(handlers: Handlers): Handlers {
    const table = handlers as unknown as Readonly<Record<string, Any | undefined>>;
    const named = (op: string): Any | undefined => table[op]?.bind(handlers);
    const wrapped: Record<string, Any> = {};
    for (const op of operations) {
      const handler = named(op);
      if (handler !== undefined) wrapped[op] = handler;
    }
    for (const op of ENTRIES) {
      const handler = named(op);
      if (handler !== undefined) wrapped[op] = (request) => this.#counted(handler(request));
    }
    const { readdirplus, forget } = wrapped;
    wrapped.readdirplus = (request) => this.#countedListing(readdirplus(request) as Iterable<ListingEntry>);
    wrapped.forget = (request) => {
      for (const { ino, nlookup } of (request as Requests['forget']).forgets) this.#add(ino, -nlookup);
      return forget(request);
    };
    for (const op of DELAYED) {
      const handler = wrapped[op];
      if (handler !== undefined) wrapped[op] = (request) => this.#delayed(request, handler);
    }
    return wrapped as unknown as Handlers;
  }

  #counted(reply: unknown): unknown {
    // No node, null or 0, is a name that is not there: the kernel has nothing to give back of it.
    const ino = (reply as { ino: number } | null)?.ino ?? 0;
    if (ino !== 0) this.#add(ino, 1);
    return reply;
  }

  /** An entry is looked up if it is taken: then the next one is asked for. */
  *#countedListing(entries: Iterable<ListingEntry>): Generator<ListingEntry, void, undefined> {
    for (const entry of entries) {
      yield entry;
      if (entry.name !== '.' && entry.name !== '..') this.#add(entry.ino, 1);
    }
  }

  #add(ino: number, count: number): void {
    const lookups = (this.#lookups.get(ino) ?? 0) + count;
    if (lookups < 0) this.#mistakes++;
    if (lookups === 0) this.#lookups.delete(ino);
    else this.#lookups.set(ino, lookups);
  }

  #delayed(request: FuseRequest<unknown>, handler: Any): unknown {
    if (this.#random.below(DELAY_SHARE) > 0) return handler(request);
    this.#delays++;
    const { signal } = request;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        clearTimeout(timer);
        this.#heeded++;
        reject(new FuseError('EINTR'));
      };
      const timer = setTimeout(
        () => {
          signal.removeEventListener('abort', onAbort);
          try {
            resolve(handler(request));
          } catch (error) {
            reject(error);
          }
        },
        this.#random.below(LONGEST_DELAY + 1),
      );
      if (request.gid !== HEEDED_GROUP) return;
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }
}

interface ListingEntry {
  readonly name: string;
  readonly ino: number;
}
