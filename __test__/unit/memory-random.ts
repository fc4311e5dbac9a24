import type { ExecutionContext } from 'ava';
import { Random } from '../support/random.ts';

/** A repeatable source of randomness, whose seed a failing test prints. */
export function random(t: ExecutionContext, seed: number): Random {
  t.log(`seed ${seed}`);
  return new Random(seed);
}
