/** The kernel's FUSE: the switch of FUSE-over-io_uring, and the device. */

import { open, stat } from 'node:fs/promises';
import { type Check, ok, problem, warning } from './check.ts';
import { codeOf, readText } from './system.ts';

const MODULES = '/sys/module';
const MODULE = `${MODULES}/fuse`;
const SWITCH = `${MODULE}/parameters/enable_uring`;
const DEVICE = '/dev/fuse';

/** Major and minor number of /dev/fuse: `MISC_MAJOR` and `FUSE_MINOR`. */
const DEVICE_NUMBER = [10, 229];

/** The state of the fuse module. `enableUring`: as the kernel shows it, undefined where there is none. */
export interface FuseModule {
  /** Undefined where /sys does not say. */
  readonly loaded: boolean | undefined;
  readonly enableUring: string | undefined;
}

/** Looks for the fuse module, which may be built into the kernel. */
export async function readFuseModule(): Promise<FuseModule> {
  const exists = (path: string): Promise<boolean> =>
    stat(path).then(
      () => true,
      () => false,
    );
  const loaded = (await exists(MODULES)) ? await exists(MODULE) : undefined;
  return { loaded, enableUring: await readText(SWITCH) };
}

/** The switch, which is off by default and takes effect for mounts made later. */
export function checkSwitch({ loaded, enableUring }: FuseModule): Check {
  const check = 'enable_uring';
  if (loaded === undefined)
    return warning(check, `unknown, as there is no ${MODULES}`, 'mount -t sysfs sysfs /sys');
  if (!loaded) return problem(check, 'the kernel module fuse is not loaded', 'sudo modprobe fuse');
  if (enableUring === undefined) {
    return problem(
      check,
      'this kernel has no such switch',
      'run Linux 6.14 or later, with CONFIG_FUSE_IO_URING=y',
    );
  }
  if (enableUring === 'Y') return ok(check, 'on');
  return problem(check, 'off, which is the default; /dev/fuse works', `echo Y | sudo tee ${SWITCH}`);
}

/** `outcome`: undefined where the device could be opened, otherwise the error's code, or `'other'` for another device. */
export function checkDevice(outcome: string | undefined): Check {
  switch (outcome) {
    case undefined:
      return ok(DEVICE, 'can be opened');
    case 'other':
      return problem(
        DEVICE,
        `is not FUSE's device, the character device ${DEVICE_NUMBER.join(':')}`,
        `docker run --device ${DEVICE}; elsewhere: sudo rm ${DEVICE} && sudo mknod -m 0666 ${DEVICE} c ${DEVICE_NUMBER.join(' ')}`,
      );
    case 'ENOENT':
      return problem(
        DEVICE,
        'is missing',
        'sudo modprobe fuse; in a container: docker run --device /dev/fuse',
      );
    case 'EACCES':
      return problem(DEVICE, 'this user may not open it', `sudo chmod 0666 ${DEVICE}`);
    case 'EPERM':
      return problem(DEVICE, 'the container may not open it', 'docker run --device /dev/fuse');
    case 'ENODEV':
    case 'ENXIO':
      return problem(DEVICE, 'has no driver', 'sudo modprobe fuse');
    default:
      return problem(DEVICE, `cannot be opened: ${outcome}`, `ls -l ${DEVICE}`);
  }
}

async function openDevice(): Promise<string | undefined> {
  try {
    const device = await open(DEVICE, 'r+');
    const { rdev } = await device.stat();
    await device.close();
    // As makedev(3) puts them together.
    const numbers = [(rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >> 12) & 0xfff00)];
    return numbers.join() === DEVICE_NUMBER.join() ? undefined : 'other';
  } catch (error) {
    return codeOf(error);
  }
}

/** Looks at the switch and the device. */
export async function examineFuse(module: FuseModule): Promise<Check[]> {
  return [checkSwitch(module), checkDevice(await openDevice())];
}
