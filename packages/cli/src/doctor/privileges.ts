/** Whether this process may mount, and the helper that mounts for those who may not. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Check, ok, problem, warning } from './check.ts';
import { readText } from './system.ts';

/** `capabilities(7)`. */
const CAP_SYS_ADMIN = 21n;

/** Whether /proc/PID/status shows CAP_SYS_ADMIN in force, in the user namespace of the process. */
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

/** The version in what `fusermount3 --version` prints. */
export function parseFusermountVersion(text: string): string | undefined {
  return /version:? (\d+(?:\.\d+)*)/.exec(text)?.[1];
}

/** `output`: what `fusermount3 --version` printed, undefined where it could not be run. */
export function checkFusermount(output: string | undefined): Check {
  const check = 'fusermount3';
  if (output === undefined) {
    return warning(check, 'not in PATH: only needed without CAP_SYS_ADMIN', 'sudo apt-get install fuse3');
  }
  return ok(check, parseFusermountVersion(output) ?? 'found');
}

async function runFusermount(): Promise<string | undefined> {
  try {
    return (await promisify(execFile)('fusermount3', ['--version'])).stdout;
  } catch {
    return undefined;
  }
}

/** Looks at the privileges that `admin` stands for, and at the helper. */
export async function examinePrivileges(admin: boolean): Promise<Check[]> {
  return [checkPrivileges(admin), checkFusermount(await runFusermount())];
}
