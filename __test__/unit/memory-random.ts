import type { ExecutionContext } from 'ava';

/** A repeatable source of randomness (mulberry32), whose seed a failing test prints. */
export function random(
  t: ExecutionContext,
  seed: number,
): { below(limit: number): number; bytes(length: number): Buffer } {
  t.log(`seed ${seed}`);
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    below: (limit) => Math.floor(next() * limit),
    bytes: (length) => Buffer.from(Array.from({ length }, () => Math.floor(next() * 256))),
  };
}
