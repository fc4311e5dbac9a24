/** The kernel's FUSE: the switch of FUSE-over-io_uring, and the device. */

import { open, stat } from 'node:fs/promises';
import { type Check, ok, problem } from './check.ts';
import { codeOf, readText } from './system.ts';

const MODULE = '/sys/module/fuse';
const SWITCH = `${MODULE}/parameters/enable_uring`;
const DEVICE = '/dev/fuse';

/** The state of the fuse module. `enableUring`: as the kernel shows it, undefined where there is none. */
export interface FuseModule {
  readonly loaded: boolean;
  readonly enableUring: string | undefined;
}

/** Looks for the fuse module, which may be built into the kernel. */
export async function readFuseModule(): Promise<FuseModule> {
  const loaded = await stat(MODULE).then(
    () => true,
    () => false,
  );
  return { loaded, enableUring: await readText(SWITCH) };
}

/** The switch, which is off by default and takes effect for mounts made later. */
export function checkSwitch({ loaded, enableUring }: FuseModule): Check {
  const check = 'enable_uring';
  if (!loaded) return problem(check, 'the kernel module fuse is not loaded', 'sudo modprobe fuse');
  if (enableUring === undefined) {
    return problem(
      check,
      'this kernel has no such switch',
      'run Linux 6.14 or later, with CONFIG_FUSE_IO_URING=y',
    );
  }
  if (enableUring === 'Y') return ok(check, 'on');
  return problem(check, 'off, which is the default', `echo Y | sudo tee ${SWITCH}`);
}

/** `outcome`: undefined where the device could be opened, otherwise the error's code. */
export function checkDevice(outcome: string | undefined): Check {
  switch (outcome) {
    case undefined:
      return ok(DEVICE, 'can be opened');
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
    await (await open(DEVICE, 'r+')).close();
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

/** Looks at the switch and the device. */
export async function examineFuse(module: FuseModule): Promise<Check[]> {
  return [checkSwitch(module), checkDevice(await openDevice())];
}
