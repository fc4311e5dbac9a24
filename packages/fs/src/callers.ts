/** Who a request is from. */

import { readFileSync } from 'node:fs';

/** The caller, as requests name it. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  /** The thread that waits for the request; 0: none that this process sees. */
  readonly pid: number;
}

/** The superuser. */
export const ROOT_UID = 0;

/**
 * The supplementary groups of a thread. Requests do not name them. A thread that this process does not see, in another
 * PID namespace, has none: one privilege too few is better than one too many.
 */
export function groupsOf(pid: number): number[] {
  try {
    // proc_pid_status(5). The kernel makes it in memory, and waits for nobody.
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const line = /^Groups:(.*)$/m.exec(status)?.[1] ?? '';
    return (line.match(/[0-9]+/g) ?? []).map(Number);
  } catch {
    return [];
  }
}

/** Whether the caller is in a group. */
export function isMember({ gid, pid }: Caller, group: number): boolean {
  return gid === group || groupsOf(pid).includes(group);
}
