/** Mounts that crashed runs left behind. */

import { spawnSync } from 'node:child_process';
import { readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRoot, say } from './run.mjs';

const PREFIX = join(tmpdir(), 'ringfuse-');

/** The mountpoints of FUSE filesystems below the directories that `npm start` and the tests make. */
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

/** Unmounts what earlier runs left behind, and removes its directories. Mounts that are still served stay. */
export function removeStaleMounts() {
  for (const path of mountpoints().filter(isStale)) {
    const [command, ...args] = isRoot ? ['umount', '--lazy'] : ['fusermount3', '-u', '-z'];
    if (spawnSync(command, [...args, path]).status !== 0) continue;
    rmdirSync(path);
    say(`removed ${path}, left behind by an earlier run`);
  }
}
