/**
 * What these scripts change on the machine beyond the clone. It is said first, before minutes of building, so that
 * Ctrl-C prevents it.
 */

import { controlFilesystemChanges, mountControlFilesystem } from './control-filesystem.mjs';
import { enableRing, ringChanges } from './ring-switch.mjs';
import { say } from './run.mjs';
import { installTestPrograms, testProgramChanges } from './test-programs.mjs';

/** Says what {@link prepareRing} is going to do. */
export function announceRing() {
  announce(ringChanges());
}

/** Says what {@link prepareTests} is going to do. */
export function announceTests() {
  announce([...testProgramChanges(), ...ringChanges(), ...controlFilesystemChanges()]);
}

/** What a mount needs. */
export function prepareRing() {
  enableRing();
}

/** What the tests need. */
export function prepareTests() {
  installTestPrograms();
  enableRing();
  mountControlFilesystem();
}

function announce(changes) {
  if (changes.length === 0) return;
  say('this is going to change the machine; Ctrl-C now prevents it:');
  for (const change of changes) say(`- ${change}`);
}
