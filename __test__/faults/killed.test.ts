import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Caller } from '../support/callers.ts';
import { RunningCommand } from '../support/command.ts';
import { abortConnection, connectionOf } from '../support/connections.ts';
import { mountpoint } from '../support/mounted.ts';
import { overBoth } from '../support/transports.ts';

const run = promisify(execFile);

const MORTAL = fileURLToPath(new URL('../support/mortal.js', import.meta.url));

/** What callers see of a server that died. */
const ENDED = ['ECONNABORTED', 'ENOTCONN'];

/** Uses the mount until that fails: writes, reads and lists. */
const LOAD =
  'i=0; while echo $i > "$1/$2" && cat "$1/$2" > /dev/null && ls "$1" > /dev/null; do i=$((i+1)); done; echo $i';
const CALLERS = 6;

/** More than a queue has slots at first, so that it gets more. */
const HOLDERS = 40;

/** Milliseconds in which every caller of a killed server has to have its answer. */
const SOON = 5000;

overBoth('kill -9 of the server in mid-load leaves no caller waiting', async (t, transport) => {
  const dir = await mountpoint(t);
  const server = new RunningCommand('mount', 'memory', dir, '--cache', 'none', '--transport', transport);
  t.regex((await server.firstLine) ?? '', new RegExp(transport));
  t.teardown(async () => {
    server.kill('SIGKILL');
    await run('umount', ['-l', dir]).catch(() => undefined);
  });
  const callers = Array.from({ length: CALLERS }, (_, index) => {
    const child = spawn('sh', ['-c', LOAD, 'sh', dir, `file-${index}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let rounds = '';
    child.stdout.on('data', (text) => {
      rounds += text;
    });
    return once(child, 'close').then(() => ({ rounds: Number(rounds), at: performance.now() }));
  });
  await sleep(1000);
  const killed = performance.now();
  server.kill('SIGKILL');
  const ended = await Promise.race([Promise.all(callers), sleep(SOON, undefined, { ref: false })]);
  if (ended === undefined) return t.fail(`after ${SOON} ms a caller waits still`);
  t.true(
    ended.some(({ rounds }) => rounds > 0),
    'there was a load',
  );
  const last = Math.max(...ended.map(({ at }) => at)) - killed;
  t.log(`${transport}: the last of ${CALLERS} callers ended ${last.toFixed(0)} ms after the kill`);
  await t.throwsAsync(run('stat', [join(dir, 'file-0')]), { message: /Transport endpoint is not connected/ });
});

for (const where of ['main', 'worker'] as const) {
  overBoth(
    `kill -9 of a server that holds many requests ends them all: served by ${where}`,
    async (t, transport) => {
      const dir = await mountpoint(t);
      const server = spawn(process.execPath, [MORTAL, dir, transport, where], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      t.teardown(async () => {
        server.kill('SIGKILL');
        await run('umount', ['-l', dir]).catch(() => undefined);
      });
      await once(server.stdout, 'data');
      const pinned = ['--cpu-list', '0', 'cat', join(dir, 'never')];
      const callers = Array.from({ length: HOLDERS }, () => new Caller('taskset', ...pinned));
      await sleep(500);
      const connection = await connectionOf(dir);
      const killed = performance.now();
      server.kill('SIGKILL');
      const all = Promise.all([once(server, 'exit'), ...callers.map(({ ended }) => ended)]);
      const outcome = await Promise.race([all, sleep(SOON, undefined, { ref: false })]);
      if (outcome === undefined) {
        // Or this process could not end either.
        await abortConnection(connection);
        return t.fail(`after ${SOON} ms a caller, or the server itself, waits still`);
      }
      for (const { ended } of callers) t.true(ENDED.includes((await ended).code ?? ''));
      t.log(`${HOLDERS} callers and the server ended within ${(performance.now() - killed).toFixed(0)} ms`);
    },
  );
}
