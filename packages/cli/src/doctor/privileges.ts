/** Whether this process may mount: by mount(2), or through the helper that mounts for those who may not. */

import type { Fusermount } from 'ringfuse';
import { type Check, ok, problem, warning } from './check.ts';
import { readText } from './system.ts';

/** `capabilities(7)`. */
const CAP_SYS_ADMIN = 21n;

/** What fusermount3 reads. */
const FUSE_CONF = '/etc/fuse.conf';

/** Who asks: root may lack CAP_SYS_ADMIN in a container, and then no helper has it either. */
export interface User {
  readonly admin: boolean;
  readonly root: boolean;
}

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
export function checkPrivileges({ admin, root }: User): Check {
  const check = 'privileges';
  if (admin) return ok(check, 'CAP_SYS_ADMIN: mount(2) mounts');
  if (!root) return ok(check, 'an ordinary user: fusermount3 mounts');
  return problem(
    check,
    'mount(2) needs CAP_SYS_ADMIN, which root has not here',
    'docker run --cap-add SYS_ADMIN --device /dev/fuse',
  );
}

/** Who may mount needs no helper, but for `autoUnmount`. `helper`: undefined where it could not be looked for. */
export function checkFusermount(helper: Fusermount | undefined, { admin, root }: User): Check {
  const check = 'fusermount3';
  if (helper === undefined) return warning(check, 'not looked for', 'npm run build');
  if (helper.found !== undefined) return ok(check, helper.found);
  const finding = admin || root ? warning : problem;
  const detail = admin || root ? `${helper.problem}: only needed for autoUnmount` : helper.problem;
  return finding(check, detail, helper.remedy);
}

/** Whether an ordinary user may let others in. `conf`: the text of /etc/fuse.conf. */
export function checkAllowOther(conf: string | undefined): Check {
  const check = 'allowOther';
  if (/^\s*user_allow_other\s*$/m.test(conf ?? '')) return ok(check, `allowed by ${FUSE_CONF}`);
  return warning(
    check,
    `${FUSE_CONF} does not allow it to ordinary users`,
    `echo user_allow_other | sudo tee -a ${FUSE_CONF}`,
  );
}

async function findHelper(): Promise<Fusermount | undefined> {
  try {
    const { probeFusermount } = await import('ringfuse');
    return probeFusermount();
  } catch {
    // The check of the native binary says why it does not load.
    return undefined;
  }
}

/** Looks at the privileges that `admin` stands for, and at the helper. */
export async function examinePrivileges(admin: boolean): Promise<Check[]> {
  const user = { admin, root: process.geteuid?.() === 0 };
  const checks = [checkPrivileges(user), checkFusermount(await findHelper(), user)];
  if (!admin && !user.root) checks.push(checkAllowOther(await readText(FUSE_CONF)));
  return checks;
}
