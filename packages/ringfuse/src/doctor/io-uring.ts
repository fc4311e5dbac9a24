/** Whether this process may use io_uring. */

import { type Check, ok, problem } from './check.ts';
import { readText } from './system.ts';

const SYSCTL = '/proc/sys/kernel';

/** What decides over io_uring, as `kernel.io_uring_disabled` and `kernel.io_uring_group` show it. */
export interface IoUringPolicy {
  /** 0: for all. 1: for CAP_SYS_ADMIN and the group. 2: for nobody. Undefined before Linux 6.6: for all. */
  readonly disabled: number | undefined;
  /** The group that `1` lets in; -1 for none. */
  readonly group: number;
}

/** Who asks. */
export interface Caller {
  readonly admin: boolean;
  readonly groups: readonly number[];
}

/** The policy alone; a seccomp filter may refuse all the same. */
export function checkPolicy({ disabled, group }: IoUringPolicy, { admin, groups }: Caller): Check {
  const check = 'io_uring';
  if (disabled === 2) {
    return problem(
      check,
      'kernel.io_uring_disabled is 2: for nobody',
      'sudo sysctl kernel.io_uring_disabled=0',
    );
  }
  if (disabled === 1 && !admin && !groups.includes(group)) {
    return problem(
      check,
      'kernel.io_uring_disabled is 1: only for CAP_SYS_ADMIN and the group kernel.io_uring_group',
      'sudo sysctl kernel.io_uring_disabled=0',
    );
  }
  return ok(check, 'allowed');
}

/** `refusal`: what the kernel said to who really asked, undefined where it agreed; it has the last word. */
export function checkRefusal(policy: Check, refusal: string | undefined): Check {
  if (policy.status !== 'ok' || refusal === undefined) return policy;
  return problem(
    policy.check,
    refusal,
    'docker run --security-opt seccomp=PROFILE, one that allows io_uring_*',
  );
}

async function readPolicy(): Promise<IoUringPolicy> {
  const [disabled, group] = await Promise.all([
    readText(`${SYSCTL}/io_uring_disabled`),
    readText(`${SYSCTL}/io_uring_group`),
  ]);
  return { disabled: disabled === undefined ? undefined : Number(disabled), group: Number(group ?? -1) };
}

/** `refusal`: as for {@link checkRefusal}. */
export async function examineIoUring(admin: boolean, refusal: string | undefined): Promise<Check> {
  const groups = [process.getgid?.() ?? -1, ...(process.getgroups?.() ?? [])];
  return checkRefusal(checkPolicy(await readPolicy(), { admin, groups }), refusal);
}
