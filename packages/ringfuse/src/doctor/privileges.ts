/** Whether this process may mount: by mount(2), or through the helper that mounts for those who may not. */

import type { Fusermount } from '../probe.ts';
import { type Check, ok, problem, warning } from './check.ts';
import { readText } from './system.ts';

/** `capabilities(7)`. */
const CAP_SYS_ADMIN = 21n;

/** What fusermount3 reads. */
const FUSE_CONF = '/etc/fuse.conf';

/** Who asks. */
export interface User {
  readonly root: boolean;
  /** Whether CAP_SYS_ADMIN is in force: root may lack it in a container. Undefined where /proc does not say. */
  readonly admin: boolean | undefined;
  /** Whether a set-user-ID program that this process starts can have it. Undefined where /proc does not say. */
  readonly helped: boolean | undefined;
}

/**
 * Whether /proc/PID/status shows CAP_SYS_ADMIN in a set of capabilities, in the user namespace of the process: `CapEff`,
 * those in force; `CapBnd`, those that a program can gain.
 */
export function hasAdmin(status: string, set: 'CapEff' | 'CapBnd'): boolean | undefined {
  const [, capabilities] = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, 'm').exec(status) ?? [];
  if (capabilities === undefined) return undefined;
  return ((BigInt(`0x${capabilities}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

/** Who this process is. */
export async function readUser(): Promise<User> {
  const status = (await readText('/proc/self/status')) ?? '';
  return {
    root: process.geteuid?.() === 0,
    admin: hasAdmin(status, 'CapEff'),
    helped: hasAdmin(status, 'CapBnd'),
  };
}

/** mount(2) takes CAP_SYS_ADMIN in the user namespace that owns the mount namespace. */
export function checkPrivileges({ admin, helped, root }: User): Check {
  const check = 'privileges';
  if (admin) return ok(check, 'CAP_SYS_ADMIN: mount(2) mounts');
  if (admin === undefined)
    return warning(check, 'unknown, as /proc/self/status cannot be read', 'mount -t proc proc /proc');
  if (!helped)
    return problem(
      check,
      'no program can have CAP_SYS_ADMIN here, fusermount3 included',
      'docker run --cap-add SYS_ADMIN --device /dev/fuse',
    );
  if (!root) return ok(check, 'an ordinary user: fusermount3 mounts');
  return problem(
    check,
    'mount(2) needs CAP_SYS_ADMIN, which root does not have here',
    'docker run --cap-add SYS_ADMIN --device /dev/fuse',
  );
}

/** Root needs no helper but for `autoUnmount`. `helper`: undefined where it could not be looked for. */
export function checkFusermount(helper: Fusermount | undefined, { admin, root }: User): Check {
  const check = 'fusermount3';
  if (helper === undefined)
    return warning(check, 'not looked for, as the native binary does not load', 'see native binary');
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
    const { probeFusermount } = await import('../probe.ts');
    return probeFusermount();
  } catch {
    // The check of the native binary says why it does not load.
    return undefined;
  }
}

/** Looks at the privileges, and at the helper. */
export async function examinePrivileges(user: User): Promise<Check[]> {
  const checks = [checkPrivileges(user), checkFusermount(await findHelper(), user)];
  if (!user.admin && !user.root) checks.push(checkAllowOther(await readText(FUSE_CONF)));
  return checks;
}
