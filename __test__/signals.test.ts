/** Signals in any order and at any time: none leaves a mount behind. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { ExecutionContext } from 'ava';
import { cat, hold } from './support/callers.ts';
import { RunningCommand } from './support/command.ts';
import { ENDED } from './support/faults.ts';
import { directory } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { isMounted, untilUnmounted } from './support/mounts.ts';
import { overBoth, transport } from './support/transports.ts';

const PROGRAM = fileURLToPath(new URL('support/signalled.js', import.meta.url));

/** Milliseconds in which a process must have ended: the deadline of a signal, and the machine's noise. */
const LONGEST = 15_000;

/** A signal, and the milliseconds before it. */
type Step = readonly [wait: number, signal: NodeJS.Signals];

const sequences: { readonly [name: string]: readonly Step[] } = {
  SIGTERM: [[0, 'SIGTERM']],
  'SIGTERM twice at once': [
    [0, 'SIGTERM'],
    [0, 'SIGTERM'],
  ],
  'SIGINT twice, 1 ms apart': [
    [0, 'SIGINT'],
    [1, 'SIGINT'],
  ],
  'SIGTERM twice, 5 ms apart': [
    [0, 'SIGTERM'],
    [5, 'SIGTERM'],
  ],
  'SIGINT, then SIGTERM 2 ms later': [
    [0, 'SIGINT'],
    [2, 'SIGTERM'],
  ],
  'SIGHUP, SIGTERM and SIGINT, 10 ms apart': [
    [0, 'SIGHUP'],
    [10, 'SIGTERM'],
    [10, 'SIGINT'],
  ],
  'twenty SIGTERMs, 1 ms apart': Array.from({ length: 20 }, () => [1, 'SIGTERM'] as const),
};

interface Ended {
  readonly code: number | null;
  readonly signal?: NodeJS.Signals | null;
}

/** A program to be sent signals. */
interface Target {
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Resolves to how it ended. */
  readonly ended: Promise<Ended>;
  readonly output: () => string;
}

/** Starts `signalled.js`; resolves when it has printed `until`. */
async function started(
  t: ExecutionContext,
  dir: string,
  how: string,
  until: 'begins' | 'serves' = 'serves',
): Promise<Target> {
  const child = spawn(process.execPath, [PROGRAM, dir, transport, how], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  let output = '';
  const said = new Promise<void>((resolve) => {
    createInterface(child.stdout).on('line', (line) => {
      output += `${line}\n`;
      if (line === until) resolve();
    });
  });
  await Promise.race([said, ended]);
  return { kill: (signal) => child.kill(signal), ended, output: () => output };
}

/** Sends the signals; resolves to how the process ended. */
async function send(target: Target, steps: readonly Step[]): Promise<Ended> {
  for (const [wait, signal] of steps) {
    if (wait > 0) await sleep(wait);
    target.kill(signal);
  }
  const late = sleep(LONGEST, 'it has not ended', { ref: false });
  const ending = await Promise.race([target.ended, late]);
  if (typeof ending === 'string') throw new Error(`after ${LONGEST} ms ${ending}`);
  return ending;
}

for (const [name, steps] of Object.entries(sequences)) {
  for (const how of ['thread', 'workers']) {
    overBoth(
      `${name}: a mount served by ${how === 'thread' ? 'one thread' : 'workers'} is unmounted`,
      async (t) => {
        for (let round = 0; round < 4; round++) {
          const dir = await mountpoint(t);
          const target = await started(t, dir, how);
          t.true(await isMounted(dir));
          const ending = await send(target, steps);
          t.false(await isMounted(dir));
          const signals = steps.map(([, signal]) => signal);
          t.true(ending.signal && signals.includes(ending.signal), `${ending.signal} ends the process`);
        }
      },
    );
  }

  for (const filesystem of ['memory', 'mirror'] as const) {
    overBoth(`${name}: ringfuse mount ${filesystem} unmounts`, async (t) => {
      const dir = await mountpoint(t);
      const source = filesystem === 'mirror' ? [await directory(t), dir, '--workers'] : [dir];
      const command = new RunningCommand('mount', filesystem, ...source);
      t.teardown(() => command.kill('SIGKILL'));
      await command.firstLine;
      t.true(await isMounted(dir));
      const { kill, ended } = { kill: command.kill.bind(command), ended: command.ended };
      const { code } = await send({ kill, ended, output: () => '' }, steps);
      // Node.js listens no longer when it is about to exit: a late signal ends the process then.
      t.true(code === 0 || (code === null && steps.length > 1));
      t.false(await isMounted(dir));
    });
  }
}

for (const how of ['thread', 'workers']) {
  overBoth(
    `signals while ${how === 'thread' ? 'a thread' : 'workers'} begin to serve leave no mount`,
    async (t) => {
      // From before the mount to after it.
      for (const wait of [0, 5, 10, 15, 20, 30, 40, 60, 80, 120]) {
        const dir = await mountpoint(t);
        const target = await started(t, dir, how, 'begins');
        await send(target, [
          [wait, 'SIGTERM'],
          [1, 'SIGTERM'],
        ]);
        t.false(await isMounted(dir), `after ${wait} ms`);
      }
    },
  );
}

overBoth('two signals end a mount whose file a program holds open', async (t) => {
  const dir = await mountpoint(t);
  const target = await started(t, dir, 'thread');
  const holder = hold(join(dir, 'file'));
  t.teardown(() => holder.kill('SIGKILL'));
  await sleep(100);
  await send(target, [
    [0, 'SIGTERM'],
    [50, 'SIGTERM'],
  ]);
  t.false(await isMounted(dir));
});

overBoth('a signal ends a close() that would wait for an hour', async (t) => {
  const dir = await mountpoint(t);
  const target = await started(t, dir, 'closing');
  const reader = cat(join(dir, 'never'));
  t.teardown(() => reader.kill('SIGKILL'));
  await untilUnmounted(dir);
  t.like(await send(target, [[100, 'SIGTERM']]), { signal: 'SIGTERM' });
  t.true(ENDED.includes((await reader.ended).code ?? ''));
});

overBoth('two mounts of one process are both unmounted', async (t) => {
  const dir = await mountpoint(t);
  const dirs = [join(dir, '1'), join(dir, '2')];
  for (const each of dirs) await mkdir(each);
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const target = await started(t, dir, 'two');
  for (const each of dirs) t.true(await isMounted(each));
  t.like(
    await send(target, [
      [0, 'SIGTERM'],
      [1, 'SIGINT'],
    ]),
    { signal: 'SIGTERM' },
  );
  for (const each of dirs) t.false(await isMounted(each));
});

overBoth('a signal that the application listens to unmounts, and does not end the process', async (t) => {
  const dir = await mountpoint(t);
  const target = await started(t, dir, 'listener');
  t.like(await send(target, [[0, 'SIGINT']]), { code: 0 });
  t.false(await isMounted(dir));
  t.is(target.output(), 'begins\nserves\nlistened\nwent on\n');
});

overBoth('a signal without a listener ends the process, although another one has a listener', async (t) => {
  const dir = await mountpoint(t);
  const target = await started(t, dir, 'listener');
  const ending = await send(target, [
    [0, 'SIGINT'],
    [0, 'SIGTERM'],
  ]);
  t.like(ending, { signal: 'SIGTERM' });
  t.false(await isMounted(dir));
});

overBoth(
  'handleSignals in a worker thread of the application is refused before anything is mounted',
  async (t) => {
    const dir = await mountpoint(t);
    const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import('ringfuse')
      .then(({ mount }) => mount(workerData, { handleSignals: true }))
      .catch(({ code, message }) => parentPort.postMessage({ code, message }));
  `;
    const worker = new Worker(code, { eval: true, workerData: dir });
    t.teardown(() => worker.terminate());
    const [{ code: found, message }] = await once(worker, 'message', {
      signal: AbortSignal.timeout(LONGEST),
    });
    t.is(found, 'ERR_RINGFUSE_OPTION');
    t.regex(message, /handleSignals.*main thread.*workers/);
    t.false(await isMounted(dir));
  },
);
