/** Requests that are not answered in time. */

import { FuseError, invalidOption } from './errors.ts';
import { OPCODE } from './generated/layout.ts';
import { type Operation, operations } from './requests/index.ts';
import { NO_DEADLINE, type Slot } from './slot.ts';

/**
 * Milliseconds that handlers have for an answer: of every request, or by operation, with `default` for those that are
 * not named.
 */
export type Timeouts = number | ({ readonly [Op in Operation | 'default']?: number } & object);

/** The caller of `setlkw` asked to wait; nobody waits for `forget`. */
const NOT_BY_DEFAULT: ReadonlySet<Operation> = new Set(['setlkw', 'forget']);

/** Requests whose deadlines are so many milliseconds apart, for each millisecond of the shortest, end together. */
const COARSENESS = 1 / 16;
const COARSEST = 100;

/** Longest time that `setTimeout` can wait, milliseconds: longer ones would be over at once. */
export const LONGEST_TIMER: number = 2 ** 31 - 1;

/**
 * Milliseconds by opcode, `Infinity` where there is no deadline.
 * @throws FuseError `ERR_RINGFUSE_OPTION` that says what is wrong.
 */
export function timeoutsByOpcode(timeout: Timeouts): number[] {
  const named = typeof timeout === 'number' ? { default: timeout } : timeout;
  if (typeof named !== 'object' || named === null) {
    throw invalidOption('timeout', `it must be milliseconds, or an object of them, not ${String(timeout)}`);
  }
  const byOpcode: number[] = new Array(Math.max(...Object.values(OPCODE)) + 1).fill(NO_DEADLINE);
  for (const op of operations) {
    const limit = named[op] ?? (NOT_BY_DEFAULT.has(op) ? undefined : named.default) ?? NO_DEADLINE;
    byOpcode[OPCODE[op.toUpperCase() as keyof typeof OPCODE]] = limit;
  }
  for (const [op, limit] of Object.entries(named)) {
    if (op !== 'default' && !operations.includes(op as Operation)) {
      throw invalidOption('timeout', `there is no operation ${op}`);
    }
    if (limit !== undefined && (typeof limit !== 'number' || !(limit > 0))) {
      throw invalidOption('timeout', `${op} must be a number of milliseconds above 0, not ${String(limit)}`);
    }
  }
  byOpcode[OPCODE.COPY_FILE_RANGE_64] = byOpcode[OPCODE.COPY_FILE_RANGE];
  return byOpcode;
}

/**
 * The deadlines of one channel's requests. One timer looks at all slots when the next deadline is due: a request
 * costs no timer, only its deadline's place in its slot.
 */
export class Deadlines {
  readonly #byOpcode: readonly number[];
  readonly #slots: readonly (Slot | undefined)[];
  readonly #grain: number;
  readonly #count: () => void;
  #timer: NodeJS.Timeout | undefined;
  #nextLook = NO_DEADLINE;

  /** `count` is called for each request whose deadline passes. */
  constructor(byOpcode: readonly number[], slots: readonly (Slot | undefined)[], count: () => void) {
    this.#byOpcode = byOpcode;
    this.#slots = slots;
    this.#count = count;
    this.#grain = Math.max(1, Math.min(COARSEST, Math.min(...byOpcode) * COARSENESS));
  }

  /** A request has come, at the time `now` of `performance.now()`. */
  begin(slot: Slot, now: number): void {
    const deadline = now + (this.#byOpcode[slot.opcode] ?? NO_DEADLINE);
    slot.deadline = deadline;
    if (deadline < this.#nextLook) this.#lookAt(deadline, now);
  }

  /** No request will be looked at any more. */
  close(): void {
    clearTimeout(this.#timer);
  }

  #lookAt(time: number, now: number): void {
    clearTimeout(this.#timer);
    this.#nextLook = time;
    // What is due within a grain of the first is answered with it.
    // If nothing is due by then, there is another look.
    this.#timer = setTimeout(look, Math.min(time - now + this.#grain, LONGEST_TIMER), this).unref();
  }

  /** @internal Ends what is due, and comes back when the next is. */
  look(): void {
    const now = performance.now();
    let next = NO_DEADLINE;
    this.#nextLook = NO_DEADLINE;
    for (const slot of this.#slots) {
      if (slot?.request === undefined) continue;
      if (slot.deadline > now) next = Math.min(next, slot.deadline);
      else this.#expire(slot);
    }
    if (next < this.#nextLook) this.#lookAt(next, now);
  }

  #expire(slot: Slot): void {
    const { request } = slot;
    if (request === undefined) return;
    this.#count();
    const limit = this.#byOpcode[slot.opcode];
    request.expire(new FuseError('ETIMEDOUT', `${request.op}: no reply within ${limit} ms`));
  }
}

const look = (deadlines: Deadlines): void => deadlines.look();
