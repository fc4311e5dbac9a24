/** Servers that are killed, or stopped, with callers that wait for them. */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { Caller, cat, size, stat } from '../support/callers.ts';
import { RunningCommand } from '../support/command.ts';
import { abortConnection, connectionOf } from '../support/connections.ts';
import { ANSWERED, type Fault, faultTest, KILLED } from '../support/faults.ts';
import { Mortal } from '../support/mortals.ts';
import { mountpoint } from '../support/mounted.ts';

const run = promisify(execFile);

/** A killed server leaves its mountpoint, as nobody is left to unmount it. */
const death = (name: string): Fault => ({
  kind: 'death',
  name,
  callers: KILLED,
  within: 5000,
  left: 'a stale mountpoint',
});

/** Uses the mount until that fails, in the way that it is named for. */
const loads: Readonly<Record<string, string>> = {
  'writes, reads and lists':
    'while echo text > "$1/$2" && cat "$1/$2" > /dev/null && ls "$1" > /dev/null; do :; done',
  'creates and unlinks': 'while : > "$1/$2" && rm "$1/$2"; do :; done',
  'writes much': 'while dd if=/dev/zero of="$1/$2" bs=1M count=8 status=none; do :; done',
  'reads much': 'head -c 8M /dev/zero > "$1/$2"; while cat "$1/$2" > /dev/null; do :; done',
  lists: 'mkdir "$1/$2" && touch "$1/$2/a" "$1/$2/b"; while ls -l "$1/$2" > /dev/null; do :; done',
};
const CALLERS = 6;

/** More than a queue has slots at first, so that it gets more. */
const HOLDERS = 40;

/** The child of a process, between fork and exec: it waits for its parent's mount there. */
async function childOf(pid: number): Promise<number> {
  for (;;) {
    for (const name of await readdir('/proc')) {
      const status = /^\d+$/.test(name) ? await readFile(`/proc/${name}/status`, 'utf8').catch(() => '') : '';
      if (status.includes(`\nPPid:\t${pid}\n`)) return Number(name);
    }
  }
}

/** Waits until a process has ended. */
async function endOf(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await sleep(10);
}

/** Unmounts what the test may leave behind. */
function unmountAfter(t: ExecutionContext, dir: string): void {
  t.teardown(() => run('umount', ['-l', dir]).catch(() => undefined));
}

faultTest(death('kill -9 of an idle server'), async (t, transport, watch) => {
  const dir = await mountpoint(t);
  unmountAfter(t, dir);
  const mortal = new Mortal(t, dir, transport, 'main');
  await mortal.mounted;
  t.is((await cat(join(dir, 'file')).ended).code, undefined);
  watch.begin();
  mortal.kill('SIGKILL');
  t.is((await mortal.ended).signal, 'SIGKILL');
  await watch.see(size(dir).ended);
  await watch.left(dir, mortal.pid);
});

for (const [how, load] of Object.entries(loads)) {
  faultTest(
    death(`kill -9 of a server, while each of ${CALLERS} programs ${how}`),
    async (t, transport, watch) => {
      const dir = await mountpoint(t);
      const flags = ['--cache', 'none', '--transport', transport];
      const server = new RunningCommand('mount', 'memory', dir, ...flags);
      t.teardown(() => server.kill('SIGKILL'));
      unmountAfter(t, dir);
      await server.firstLine;
      const callers = Array.from({ length: CALLERS }, (_, index) => {
        const args = ['-c', `${load}; stat "$1" > /dev/null`, 'sh', dir, `file-${index}`];
        return new Caller('sh', ...args);
      });
      await sleep(500);
      watch.begin();
      server.kill('SIGKILL');
      await watch.see(...callers.map(({ ended }) => ended));
      await server.ended;
      await watch.left(dir, server.pid);
    },
  );
}

for (const where of ['main', 'worker'] as const) {
  const thread = where === 'main' ? 'main thread' : 'worker';
  faultTest(
    death(`kill -9 of a server whose ${thread} holds ${HOLDERS} requests`),
    async (t, transport, watch) => {
      const dir = await mountpoint(t);
      const server = new Mortal(t, dir, transport, where);
      unmountAfter(t, dir);
      await server.mounted;
      const pinned = ['--cpu-list', '0', 'cat', join(dir, 'never')];
      const callers = Array.from({ length: HOLDERS }, () => new Caller('taskset', ...pinned));
      await sleep(500);
      const connection = await connectionOf(dir);
      watch.begin();
      server.kill('SIGKILL');
      try {
        await watch.see(...callers.map(({ ended }) => ended));
        await watch.inTime('the server ends', server.ended);
      } catch (error) {
        // Or this process could not end either.
        await abortConnection(connection);
        throw error;
      }
      await watch.left(dir, server.pid);
    },
  );
}

faultTest(
  death('kill -9 of a server that starts a program in its own mount'),
  async (t, transport, watch) => {
    const dir = await mountpoint(t);
    unmountAfter(t, dir);
    const mortal = new Mortal(t, dir, transport, 'main');
    await mortal.mounted;
    const caller = stat(join(dir, 'spawn'));
    const child = await childOf(mortal.pid);
    const connection = await connectionOf(dir);
    watch.begin();
    mortal.kill('SIGKILL');
    try {
      await watch.inTime('the child of the server ends', endOf(child));
      await watch.see(caller.ended);
    } catch (error) {
      await abortConnection(connection);
      throw error;
    }
    await watch.left(dir, mortal.pid);
  },
);

faultTest(
  {
    kind: 'load',
    name: 'the server is stopped for 300 ms (SIGSTOP, SIGCONT) with callers waiting',
    callers: [ANSWERED],
    within: 3000,
    left: 'the mount',
  },
  async (t, transport, watch) => {
    const dir = await mountpoint(t);
    const mortal = new Mortal(t, dir, transport, 'main');
    await mortal.mounted;
    watch.begin();
    mortal.kill('SIGSTOP');
    const callers = Array.from({ length: 4 }, () => cat(join(dir, 'file')).ended);
    t.is(await Promise.race([...callers, sleep(300, 'all wait')]), 'all wait');
    mortal.kill('SIGCONT');
    await watch.see(...callers);
    await watch.left(dir);
    mortal.kill('SIGTERM');
    await mortal.ended;
  },
);
