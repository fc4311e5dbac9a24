/** How the machine's CPUs lie to each other, from sysfs: `Documentation/admin-guide/cputopology.rst`. */

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const DIRECTORY = '/sys/devices/system/cpu';

/**
 * Shares the queues, which are the possible CPUs by number, out to at most `count` groups: CPUs that share a cache
 * stay together, and the groups are of nearly the same size.
 */
export function shareOut(queues: number, count: number = availableParallelism()): number[][] {
  const near = Array.from({ length: queues }, (_, cpu) => ({ cpu, place: placeOf(cpu) }))
    .sort((a, b) => compare(a.place, b.place) || a.cpu - b.cpu)
    .map(({ cpu }) => cpu);
  const groups = Math.min(count, queues);
  return Array.from({ length: groups }, (_, index) =>
    near.slice(Math.floor((index * queues) / groups), Math.floor(((index + 1) * queues) / groups)),
  );
}

/** Package, first CPU of the last-level cache, core: CPUs that are near have these numbers in common. */
function placeOf(cpu: number): number[] {
  return [
    numberIn(`cpu${cpu}/topology/physical_package_id`),
    numberIn(`cpu${cpu}/cache/index3/shared_cpu_list`),
    numberIn(`cpu${cpu}/topology/core_id`),
  ];
}

/** The first number in a file; what is offline or not told counts as last. */
function numberIn(name: string): number {
  try {
    const number = Number.parseInt(readFileSync(`${DIRECTORY}/${name}`, 'utf8'), 10);
    return Number.isNaN(number) ? Number.MAX_SAFE_INTEGER : number;
  } catch {
    return Number.MAX_SAFE_INTEGER;
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, at) => value !== b[at]);
  return index === -1 ? 0 : a[index] - b[index];
}
