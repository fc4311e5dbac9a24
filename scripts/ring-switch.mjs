/**
 * The kernel's switch for FUSE-over-io_uring, which is off by default. Only these scripts turn it; the
 * library explains it.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isRoot, run, say } from './run.mjs';

const MODULE = '/sys/module/fuse';
const SWITCH = `${MODULE}/parameters/enable_uring`;

/** What {@link enableRing} is going to do, a line each. */
export function ringChanges() {
  if (!isRoot) return [];
  if (!existsSync(MODULE))
    return ['load the kernel module fuse', `switch FUSE-over-io_uring on, by ${SWITCH}`];
  return isOff() ? [`switch FUSE-over-io_uring on: write Y to ${SWITCH}`] : [];
}

const isOff = () => existsSync(SWITCH) && !readFileSync(SWITCH, 'utf8').startsWith('Y');

/** Turns the switch on where this process may, and says so; where it cannot, says what that means. */
export function enableRing() {
  if (isRoot && !existsSync(MODULE)) loadModule();
  if (!isOff()) return;
  try {
    writeFileSync(SWITCH, 'Y');
    say(`switched FUSE-over-io_uring on: wrote Y to ${SWITCH}`);
  } catch {
    say(`FUSE-over-io_uring is off; to switch it on: echo Y | sudo tee ${SWITCH}`);
  }
}

function loadModule() {
  try {
    run('modprobe', ['fuse']);
    say('loaded the kernel module fuse');
  } catch (error) {
    say(`the kernel module fuse could not be loaded: ${error.message}`);
  }
}
