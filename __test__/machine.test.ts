/** What `npm start` and `npm test` say before they change the machine, in surroundings where something is due. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { notRoot } from './support/mounting.ts';
import { testUnless } from './support/transports.ts';

const exec = promisify(execFile);

/** The lines that a function of `scripts/machine.mjs` prints, in a mount namespace of its own after a shell script. */
async function said(announcement: string, prepare: string): Promise<string[]> {
  const code = `import('./scripts/machine.mjs').then((machine) => machine.${announcement}())`;
  const args = ['--mount', 'sh', '-euc', `${prepare}\nexec "$@"`, 'sh', process.execPath, '-e', code];
  const { stdout } = await exec('unshare', args);
  return stdout.split('\n').filter(Boolean);
}

const SWITCH = '/sys/module/fuse/parameters/enable_uring';
const SWITCHED_OFF = `mount -t tmpfs none /mnt; echo N > /mnt/switch; mount --bind /mnt/switch ${SWITCH}`;
const FIRST = 'ringfuse: this is going to change the machine; Ctrl-C now prevents it:';

testUnless(notRoot, 'npm start says that it is going to switch the ring on', async (t) => {
  const line = `ringfuse: - switch FUSE-over-io_uring on: write Y to ${SWITCH}`;
  t.deepEqual(await said('announceRing', SWITCHED_OFF), [FIRST, line]);
});

testUnless(notRoot, 'npm test says what it is going to switch on, mount and install', async (t) => {
  const without = 'umount /sys/fs/fuse/connections; mount --bind /dev/null "$(command -v fusermount3)"';
  t.deepEqual(await said('announceTests', `${SWITCHED_OFF}\n${without}`), [
    FIRST,
    'ringfuse: - install the Debian packages fuse3 (apt-get update, apt-get install)',
    `ringfuse: - switch FUSE-over-io_uring on: write Y to ${SWITCH}`,
    'ringfuse: - mount the fuse control filesystem on /sys/fs/fuse/connections',
  ]);
});

test('where nothing is due, nothing is said', async (t) => {
  const { stdout } = await exec(process.execPath, [
    '-e',
    "import('./scripts/machine.mjs').then((m) => m.announceRing())",
  ]);
  t.is(stdout, '');
});
