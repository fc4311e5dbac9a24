import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { RunningCommand } from './support/command.ts';
import { mountpoint } from './support/mounted.ts';
import { overBoth } from './support/transports.ts';

const run = promisify(execFile);

/** Uses the mount until that fails: writes, reads and lists. */
const LOAD =
  'i=0; while echo $i > "$1/$2" && cat "$1/$2" > /dev/null && ls "$1" > /dev/null; do i=$((i+1)); done; echo $i';
const CALLERS = 6;

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
