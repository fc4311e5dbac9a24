/** What /proc/self/mounts says of a directory, without a request to what is mounted there. */

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Whether something is mounted on `dir`. */
export async function isMounted(dir: string): Promise<boolean> {
  const table = await readFile('/proc/self/mounts', 'utf8');
  return table.split('\n').some((line) => line.split(' ')[1] === dir);
}

/** Resolves when something is mounted on `dir`. */
export function untilMounted(dir: string): Promise<void> {
  return until(() => isMounted(dir), `${dir} is not mounted`);
}

/** Resolves when nothing is mounted on `dir`. */
export function untilUnmounted(dir: string): Promise<void> {
  return until(async () => !(await isMounted(dir)), `${dir} is still mounted`);
}

async function until(
  condition: () => Promise<boolean>,
  problem: string,
  milliseconds = 10_000,
): Promise<void> {
  for (const end = Date.now() + milliseconds; Date.now() < end; await sleep(10)) {
    if (await condition()) return;
  }
  throw new Error(`${problem} after ${milliseconds} ms`);
}
