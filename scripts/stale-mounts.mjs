/** Mounts that crashed runs left behind. */

import { spawnSync } from 'node:child_process';
import { readFileSync, rmdirSync } from 'node:fs';
import { isRoot, say } from './run.mjs';

/** Where `npm start` and the tests mount. */
export const PREFIX = '/tmp/ringfuse-';

/** The mountpoints of FUSE filesystems where `npm start` and the tests mount. */
function mountpoints() {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type?.startsWith('fuse'))
    .map(([, path]) =>
      path.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((path) => path.startsWith(PREFIX));
}

/** Whether nobody serves it any more. A process of its own asks, as it may hang; statfs is never cached. */
function isStale(path) {
  const { stderr } = spawnSync('stat', ['--file-system', path], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    timeout: 2000,
    killSignal: 'SIGKILL',
  });
  return stderr.includes('Transport endpoint is not connected');
}

/** Unmounts what earlier runs left behind, and removes empty directories. What is still served stays. */
export function removeStaleMounts() {
  for (const path of mountpoints().filter(isStale)) {
    const [command, ...args] = isRoot ? ['umount', '--lazy'] : ['fusermount3', '-u', '-z'];
    if (spawnSync(command, [...args, path]).status !== 0) continue;
    say(`unmounted ${path}, left behind by an earlier run`);
    removeIfEmpty(path);
  }
}

function removeIfEmpty(path) {
  try {
    rmdirSync(path);
  } catch {
    // It holds something, or is itself in use: it stays.
  }
}
