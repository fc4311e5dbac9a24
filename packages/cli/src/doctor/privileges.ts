/** What this process may do. */

import { type Check, ok, problem } from './check.ts';
import { readText } from './system.ts';

/** `capabilities(7)`. */
const CAP_SYS_ADMIN = 21n;

/** Whether the text of /proc/PID/status shows CAP_SYS_ADMIN in force, in the user namespace of the process. */
export function isAdmin(status: string): boolean {
  const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

/** Whether this process has CAP_SYS_ADMIN. */
export async function readAdmin(): Promise<boolean> {
  return isAdmin((await readText('/proc/self/status')) ?? '');
}

/** mount(2) takes CAP_SYS_ADMIN in the user namespace that owns the mount namespace. */
export function checkPrivileges(admin: boolean): Check {
  const check = 'privileges';
  if (admin) return ok(check, 'CAP_SYS_ADMIN');
  return problem(
    check,
    'mount(2) needs CAP_SYS_ADMIN',
    'run as root, or in namespaces of your own: unshare --user --map-root-user --mount',
  );
}
