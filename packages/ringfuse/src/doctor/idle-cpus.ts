/** What a CPU of a virtual machine does that has nothing to do: halting, and being woken, is the host's work. */

import { type Check, hint } from './check.ts';
import { readText } from './system.ts';

const GOVERNOR = '/sys/devices/system/cpu/cpuidle/current_governor';
const POLL = '/sys/module/haltpoll/parameters/guest_halt_poll_ns';

/** What the kernel shows; undefined where it shows nothing. */
export interface IdleCpus {
  readonly governor: string | undefined;
  /** Nanoseconds for which an idle CPU looks for work before it halts. */
  readonly poll: string | undefined;
}

/** A finding only where KVM's guest looks for no work before it halts, though it could: `haltpoll` of Linux. */
export function checkIdleCpus({ governor, poll }: IdleCpus): Check[] {
  if (governor !== 'haltpoll' || poll !== '0') return [];
  return [
    hint(
      'idle CPUs',
      'of this virtual machine halt at once, and are slow to wake: single callers wait for that',
      `echo 200000 | sudo tee ${POLL}`,
    ),
  ];
}

/** Looks at the idle CPUs. */
export async function examineIdleCpus(): Promise<Check[]> {
  const [governor, poll] = await Promise.all([readText(GOVERNOR), readText(POLL)]);
  return checkIdleCpus({ governor, poll });
}
