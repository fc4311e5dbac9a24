/** Locks of one file and those who wait for one: `fcntl(2)` record locks, or `flock(2)` locks of the whole. */

import { FuseError } from 'ringfuse';
import type { Space } from './space.ts';

/** Bytes that a lock takes of the JavaScript heap, at most; the first of a file with its table. */
const LOCK_COST = 512;

/** `l_type` of `fcntl(2)`. */
export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;

/** The place of a byte in a file: a bigint beyond `Number.MAX_SAFE_INTEGER`. The two compare exactly. */
type Byte = number | bigint;

const FIRST_BIG = BigInt(Number.MAX_SAFE_INTEGER) + 1n;

function after(byte: Byte): Byte {
  if (typeof byte === 'bigint') return byte + 1n;
  return byte === Number.MAX_SAFE_INTEGER ? FIRST_BIG : byte + 1;
}

function before(byte: Byte): Byte {
  if (typeof byte === 'number') return byte - 1;
  return byte === FIRST_BIG ? Number.MAX_SAFE_INTEGER : byte - 1n;
}

const lesser = (one: Byte, other: Byte): Byte => (other < one ? other : one);
const greater = (one: Byte, other: Byte): Byte => (other > one ? other : one);

/** A lock that is held, or wanted, on the bytes `start` … `end`. */
export interface Lock {
  readonly start: Byte;
  /** The last byte; Infinity: to the end of the file, however it grows. */
  readonly end: Byte;
  readonly type: number;
  readonly pid: number;
  /** Whose lock it is: those of one owner do not conflict. */
  readonly owner: bigint;
  /** The open file by which it was set. */
  readonly fh: number;
}

interface Waiter {
  readonly lock: Lock;
  readonly granted: () => void;
  readonly refused: (error: unknown) => void;
}

function overlap(one: Lock, other: Lock): boolean {
  return one.start <= other.end && other.start <= one.end;
}

function conflict(one: Lock, other: Lock): boolean {
  return one.owner !== other.owner && (one.type === F_WRLCK || other.type === F_WRLCK) && overlap(one, other);
}

/** What is held and waited for on one file. Locks that are held do not conflict, nor do those of one owner overlap. */
export class LockTable {
  #held: Lock[] = [];
  /** In the order in which they came. */
  readonly #waiting: Set<Waiter> = new Set();
  readonly #space: Space;

  constructor(space: Space) {
    this.#space = space;
  }

  /** Whether nothing is held and nobody waits. */
  get isIdle(): boolean {
    return this.#held.length === 0 && this.#waiting.size === 0;
  }

  /** Locks that keep `wanted` from being set. */
  blockers(wanted: Lock): Lock[] {
    return this.#held.filter((lock) => conflict(lock, wanted));
  }

  /** What an owner waits for. */
  waitsOf(owner: bigint): Lock[] {
    return [...this.#waiting].map(({ lock }) => lock).filter((lock) => lock.owner === owner);
  }

  /**
   * The first lock, by place, that keeps `wanted` from being set. With `F_UNLCK`, as `F_OFD_GETLK` may ask: the
   * first that its owner holds there.
   */
  find(wanted: Lock): Lock | undefined {
    const found =
      wanted.type === F_UNLCK
        ? this.#held.filter((lock) => lock.owner === wanted.owner && overlap(lock, wanted))
        : this.blockers(wanted);
    return found.sort((one, other) => (one.start < other.start ? -1 : 1))[0];
  }

  /**
   * Sets a lock, or takes it away (`F_UNLCK`); false: another is in the way, and nothing changed. ENOLCK where there is
   * no space for it.
   */
  set(wanted: Lock): boolean {
    if (wanted.type !== F_UNLCK && this.blockers(wanted).length > 0) return false;
    this.#put(wanted);
    // What its owner held there may have been stronger.
    this.#grant();
    return true;
  }

  /** Sets a lock once nothing is in its way; when the signal is aborted before, EINTR. */
  async wait(wanted: Lock, signal: AbortSignal): Promise<void> {
    if (this.set(wanted)) return;
    if (signal.aborted) throw new FuseError('EINTR');
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => {
        this.#waiting.delete(waiter);
        reject(new FuseError('EINTR'));
      };
      const waiter: Waiter = {
        lock: wanted,
        granted: () => {
          signal.removeEventListener('abort', abort);
          resolve();
        },
        refused: (error) => {
          signal.removeEventListener('abort', abort);
          reject(error);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.add(waiter);
    });
  }

  /** Takes away all locks that `matches`. */
  release(matches: (lock: Lock) => boolean): void {
    const left = this.#held.filter((lock) => !matches(lock));
    if (left.length === this.#held.length) return;
    this.#replace(left);
    this.#grant();
  }

  /** Sets those that wait and can be set, in the order in which they came. */
  #grant(): void {
    for (let waiter = this.#next(); waiter !== undefined; waiter = this.#next()) {
      this.#waiting.delete(waiter);
      try {
        this.#put(waiter.lock);
        waiter.granted();
      } catch (error) {
        waiter.refused(error);
      }
    }
  }

  /** The first that waits for nothing any more. */
  #next(): Waiter | undefined {
    for (const waiter of this.#waiting) if (this.blockers(waiter.lock).length === 0) return waiter;
    return undefined;
  }

  /** Puts a lock in the place of what its owner held there, merged with what it touches of the same type. */
  #put(wanted: Lock): void {
    const left: Lock[] = [];
    let { start, end } = wanted;
    for (const lock of this.#held) {
      if (lock.owner !== wanted.owner || lock.start > after(wanted.end) || wanted.start > after(lock.end)) {
        left.push(lock);
      } else if (lock.type === wanted.type) {
        start = lesser(start, lock.start);
        end = greater(end, lock.end);
      } else {
        if (lock.start < wanted.start) left.push({ ...lock, end: lesser(lock.end, before(wanted.start)) });
        if (lock.end > wanted.end) left.push({ ...lock, start: greater(lock.start, after(wanted.end)) });
      }
    }
    if (wanted.type !== F_UNLCK) left.push({ ...wanted, start, end });
    this.#replace(left);
  }

  #replace(held: Lock[]): void {
    if (!this.#space.takeHeap((held.length - this.#held.length) * LOCK_COST)) throw new FuseError('ENOLCK');
    this.#held = held;
  }
}
