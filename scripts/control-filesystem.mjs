/** The fuse control filesystem, by which tests abort connections and count what waits. Most distributions mount it. */

import { existsSync, readFileSync } from 'node:fs';
import { isRoot, run, say } from './run.mjs';

const DIRECTORY = '/sys/fs/fuse/connections';

const isMissing = () =>
  existsSync(DIRECTORY) && !readFileSync('/proc/self/mounts', 'utf8').includes(` ${DIRECTORY} `);

/** What {@link mountControlFilesystem} is going to do, a line each. */
export function controlFilesystemChanges() {
  return isRoot && isMissing() ? [`mount the fuse control filesystem on ${DIRECTORY}`] : [];
}

/** Mounts it where this process may and it is missing. */
export function mountControlFilesystem() {
  if (!isMissing()) return;
  if (!isRoot) return say(`${DIRECTORY} is not mounted: sudo mount -t fusectl fusectl ${DIRECTORY}`);
  try {
    run('mount', ['-t', 'fusectl', 'fusectl', DIRECTORY]);
    say(`mounted the fuse control filesystem on ${DIRECTORY}`);
  } catch (error) {
    say(`the fuse control filesystem could not be mounted: ${error.message}`);
  }
}
