/** A repeatable source of randomness (mulberry32). What it gives can be taken from it and called alone. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 to below `limit`. */
  readonly below = (limit: number): number => Math.floor(this.next() * limit);

  /** One of them. */
  readonly of = <T>(values: readonly T[]): T => values[this.below(values.length)];

  readonly bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => this.below(256)));
}
