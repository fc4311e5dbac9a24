/** Mounts that crashed runs left behind. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRoot, say } from './run.mjs';

/** Where `npm start` and the tests mount. */
export const PREFIX = '/tmp/ringfuse-';

/** Milliseconds that a mount has to answer. */
const PATIENCE = 2000;

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

/**
 * Whether nobody serves it any more. A process of its own asks, as it may hang, for good where its server is a thread
 * that waits for itself; statfs is never cached.
 */
async function isStale(path) {
  const child = spawn('stat', ['--file-system', path], {
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  await Promise.race([once(child, 'close'), sleep(PATIENCE)]);
  child.kill('SIGKILL');
  child.stderr.destroy();
  child.unref();
  return errors.includes('Transport endpoint is not connected');
}

/** Unmounts what earlier runs left behind, and removes empty directories. What is still served stays. */
export async function removeStaleMounts() {
  for (const path of mountpoints()) {
    if (!(await isStale(path))) continue;
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
