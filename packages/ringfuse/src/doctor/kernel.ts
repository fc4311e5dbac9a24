/** The kernel: its version, and what it was built with. */

import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';
import { type Check, ok, problem, warning } from './check.ts';

/** A kernel's version as far as features go by it. */
export interface KernelVersion {
  readonly major: number;
  readonly minor: number;
}

const RING_SINCE: KernelVersion = { major: 6, minor: 14 };
const DEV_FUSE_SINCE: KernelVersion = { major: 5, minor: 10 };
const UPGRADE = 'run Linux 6.14 or later';

/** The version in a release such as `6.14.0-27-generic`; undefined where there is none. */
export function parseRelease(text: string): KernelVersion | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text) ?? [];
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor) };
}

/** Whether a version is `since` or later. */
export function reaches(version: KernelVersion, since: KernelVersion): boolean {
  return version.major > since.major || (version.major === since.major && version.minor >= since.minor);
}

/** The value of an option in a kernel configuration: `y`, `m`, a number; `n` where it is not set. */
export function configValue(config: string, option: string): string {
  return new RegExp(`^${option}=(.*)$`, 'm').exec(config)?.[1] ?? 'n';
}

/** `hasSwitch`: the fuse module has the parameter `enable_uring`; a kernel that looks too old is patched. */
export function checkVersion(text: string, hasSwitch: boolean): Check {
  const version = parseRelease(text);
  if (!version) return warning('kernel', `${text}: not a version that is understood`, UPGRADE);
  if (reaches(version, RING_SINCE) || hasSwitch) return ok('kernel', text);
  const without = reaches(version, DEV_FUSE_SINCE) ? '/dev/fuse works' : '/dev/fuse needs 5.10 or later';
  return problem('kernel', `${text}: FUSE-over-io_uring needs 6.14 or later; ${without}`, UPGRADE);
}

/** `config`: the text of the kernel's configuration, where it is to be had. */
export function checkConfig(config: string | undefined, hasSwitch: boolean): Check {
  const check = 'CONFIG_FUSE_IO_URING';
  if (config === undefined) {
    if (hasSwitch) return ok(check, 'y: the fuse module has the parameter enable_uring');
    return warning(check, 'unknown: no configuration of this kernel was found', 'sudo modprobe configs');
  }
  const value = configValue(config, check);
  if (value === 'y') return ok(check, value);
  return problem(check, `${value}: this kernel was built without it`, `run a kernel built with ${check}=y`);
}

/** The configuration of the running kernel, from where distributions keep it. */
async function readConfig(): Promise<string | undefined> {
  try {
    return gunzipSync(await readFile('/proc/config.gz')).toString();
  } catch {}
  for (const path of [`/boot/config-${release()}`, `/lib/modules/${release()}/config`]) {
    try {
      return await readFile(path, 'utf8');
    } catch {}
  }
  return undefined;
}

/** Looks at the running kernel. */
export async function examineKernel(hasSwitch: boolean): Promise<Check[]> {
  return [checkVersion(release(), hasSwitch), checkConfig(await readConfig(), hasSwitch)];
}
