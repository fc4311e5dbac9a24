/** Threads that do not come to the requests that they serve: what is said, what callers see, and how soon. */

import { type ChildProcess, spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { mount, type Stall, type Transport } from 'ringfuse';
import { BUSY } from './support/busy-worker.ts';
import { type Caller, cat, stat } from './support/callers.ts';
import { mountpoint } from './support/mounted.ts';
import { isMounted, untilUnmounted } from './support/mounts.ts';
import { UNCACHED } from './support/sandbox.ts';
import { overBoth } from './support/transports.ts';

const STALLER = fileURLToPath(new URL('support/staller.js', import.meta.url));

/** As in the program. */
const STALL_TIMEOUT = 500;

/** Milliseconds that what the watchdog does may take beyond the time that it waits: the machine may be busy. */
const LATE = 3000;

/** The program in `support/staller.ts`. */
class Staller {
  readonly #child: ChildProcess;
  #output = '';
  #errors = '';
  readonly ended: Promise<number | null>;

  constructor(
    t: ExecutionContext,
    dir: string,
    transport: Transport,
    onStall: 'report' | 'fail' | 'ignore' | 'default',
    what: string,
  ) {
    const child = spawn(process.execPath, [STALLER, dir, transport, onStall, what], { stdio: 'pipe' });
    t.teardown(() => child.kill('SIGKILL'));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    this.#child = child;
    this.ended = once(child, 'close').then(([code]) => code);
  }

  /** Lets it do its deed, once it has mounted. */
  async go(): Promise<void> {
    while (!this.#output.includes('mounted: ')) await sleep(10);
    this.#child.stdin?.end('go\n');
  }

  /** What it printed behind `label: `. */
  said(label: string): string | undefined {
    return new RegExp(`^${label}: (.*)$`, 'm').exec(this.#output)?.[1];
  }

  /** What was written to standard error. */
  get report(): string {
    return this.#errors;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }
}

/** Ways of a thread to wait for its own mount, and what it sees when requests are ended: by transport. */
const selfMade: {
  readonly [what: string]: { readonly cause: string; readonly says: RegExp; readonly sees: RegExp };
} = {
  'fs.readFileSync': {
    cause: 'own-mount',
    says: /it is in open(at)?\(".*\/file"\), and waits for this mount.*fs\.promises/,
    sees: /^(ECONNABORTED|ENOTCONN|ECANCELED)$/,
  },
  'fs.statSync': {
    cause: 'own-mount',
    says: /it is in \w+\(".*\/file"\), and waits for this mount/,
    sees: /^(ECONNABORTED|ENOTCONN|ECANCELED)$/,
  },
  execSync: {
    cause: 'child',
    says: /it waits for a process that it started, and process \d+ \(cat\) waits in openat for a FUSE filesystem.*spawn or exec, not execSync/,
    sees: /Connection timed out|Software caused connection abort|Operation canceled/,
  },
  'spawn with cwd': {
    cause: 'child',
    says: /it waits for a process that it started.* waits in chdir .*no program with its cwd/,
    sees: /^(ETIMEDOUT|ECONNABORTED|ENOTCONN|ECANCELED)$/,
  },
};

for (const [what, { cause, says, sees }] of Object.entries(selfMade)) {
  overBoth(
    `${what} on one's own mount is an error, and no dead process, with onStall 'fail'`,
    async (t, transport) => {
      const dir = await mountpoint(t);
      const staller = new Staller(t, dir, transport, 'fail', what);
      await staller.go();
      const ended = await Promise.race([staller.ended, sleep(STALL_TIMEOUT * 6 + LATE, 'waits')]);
      if (ended === 'waits') return t.fail(`it waits still; ${staller.report}`);
      t.is(ended, 0, staller.report);
      const milliseconds = Number(staller.said('milliseconds'));
      t.log(`${staller.said('deed')} after ${milliseconds} ms`);
      t.regex(staller.said('deed') ?? '', sees);
      // A thread that waits for itself is not given that long.
      const earliest = cause === 'own-mount' ? 0 : STALL_TIMEOUT;
      t.true(milliseconds >= earliest && milliseconds < 2 * STALL_TIMEOUT + LATE, `${milliseconds} ms`);
      t.regex(staller.report.replaceAll('\n', ' '), says);
      t.is(staller.said('stalls'), '1');
      if (transport === 'dev_fuse') {
        t.regex(
          staller.report,
          cause === 'own-mount' ? /It was answered ECANCELED/ : /They were answered ETIMEDOUT/,
        );
        t.regex(staller.said('told') ?? '', new RegExp(`^${cause}, answered, `));
        t.is(staller.said('afterwards'), '23', 'the mount goes on');
        t.is(staller.said('mount'), 'ended');
      } else {
        t.regex(staller.report, /The mount was ended/);
        t.not(staller.said('afterwards'), '23');
        t.is(staller.said('mount'), 'ERR_RINGFUSE_STALLED');
      }
      t.false(await isMounted(dir));
    },
  );
}

/** Milliseconds within which a thread that waits for itself is to be helped, with the options' defaults. */
const SOON = 2000;

for (const what of ['fs.readFileSync', 'fs.statSync', 'fs.readdirSync']) {
  overBoth(
    `${what} on one's own mount ends with an error soon, with the options' defaults`,
    async (t, transport) => {
      const dir = await mountpoint(t);
      const staller = new Staller(t, dir, transport, 'default', what);
      await staller.go();
      const ended = await Promise.race([staller.ended, sleep(SOON + LATE + 1000, 'waits')]);
      if (ended === 'waits') return t.fail(`it waits still; ${staller.report}`);
      t.is(ended, 0, staller.report);
      t.log(`${staller.said('deed')} after ${staller.said('milliseconds')} ms`);
      t.true(Number(staller.said('milliseconds')) < SOON + LATE);
      t.regex(staller.report, /and waits for this mount/);
      if (transport === 'dev_fuse') {
        t.is(staller.said('deed'), 'ECANCELED');
        t.is(staller.said('afterwards'), '23', 'the mount goes on');
        t.is(staller.said('mount'), 'ended');
      } else {
        t.regex(staller.said('deed') ?? '', /^(ECANCELED|ECONNABORTED|ENOTCONN)$/);
        t.is(staller.said('mount'), 'ERR_RINGFUSE_STALLED');
      }
      t.false(await isMounted(dir));
    },
  );
}

overBoth('SIGKILL ends a program that waited for its own mount, and one under load', async (t, transport) => {
  for (const what of ['fs.readFileSync', 'an endless loop']) {
    const dir = await mountpoint(t);
    const staller = new Staller(t, dir, transport, 'default', what);
    await staller.go();
    const callers = Array.from({ length: 3 }, () => cat(`${dir}/file`));
    await sleep(SOON);
    staller.kill();
    const ended = await Promise.race([staller.ended.then(() => 'ended'), sleep(LATE, 'lives')]);
    t.is(ended, 'ended', what);
    for (const caller of callers) await caller.ended;
    await umount(dir);
  }
});

overBoth('a worker that waits for its own queue is helped, and no other', async (t, transport) => {
  const dir = await mountpoint(t);
  const staller = new Staller(t, dir, transport, 'report', 'a worker');
  await staller.go();
  const ended = await Promise.race([staller.ended, sleep(4 * STALL_TIMEOUT + LATE, 'waits')]);
  if (ended === 'waits') return t.fail(`it waits still; ${staller.report}`);
  t.is(ended, 0, staller.report);
  if (transport === 'dev_fuse') {
    // Another worker reads the request.
    t.is(staller.said('deed'), 'ENOENT');
    t.is(staller.report, '');
  } else {
    t.regex(staller.report, /and waits for this mount.*\n.*The mount was ended/s);
    t.is(staller.said('mount'), 'ERR_RINGFUSE_STALLED');
  }
});

overBoth(
  'a long computation is reported with who waits, and they get their answer when it is over',
  async (t, transport) => {
    const dir = await mountpoint(t);
    const staller = new Staller(t, dir, transport, 'report', 'a long computation');
    await staller.go();
    await sleep(STALL_TIMEOUT / 4);
    const outcome = await cat(`${dir}/file`).ended;
    t.is(outcome.output, 'the contents of a file\n');
    t.is(await staller.ended, 0);
    t.regex(
      staller.report,
      /for 0\.[5-9] s, \d+ requests? waits? and the serving thread .* it is busy: a long computation/,
    );
    t.regex(staller.report, /process \d+ \(cat\) waits for a FUSE filesystem, in \w+/);
    t.regex(staller.report, /They still wait/);
    t.regex(staller.said('told') ?? '', /^busy, waiting, .*cat in /);
    t.is(staller.said('afterwards'), '23');
    t.is(staller.said('mount'), 'ended');
  },
);

overBoth("an endless loop leaves no caller waiting with onStall 'fail'", async (t, transport) => {
  const dir = await mountpoint(t);
  const staller = new Staller(t, dir, transport, 'fail', 'an endless loop');
  await staller.go();
  await sleep(STALL_TIMEOUT / 4);
  const callers = Array.from({ length: 3 }, () => cat(`${dir}/file`));
  for (const { ended } of callers) {
    const { code, milliseconds } = await ended;
    t.log(`${code} after ${milliseconds.toFixed(0)} ms`);
    t.regex(code ?? '', transport === 'dev_fuse' ? /^ETIMEDOUT$/ : /^(ECONNABORTED|ENOTCONN|ECANCELED)$/);
    t.true(milliseconds < 2 * STALL_TIMEOUT + LATE);
  }
  t.regex(staller.report, /it is busy: a long computation, or an endless loop/);
  // Whoever comes now need not wait as long.
  const late: Caller = cat(`${dir}/file`);
  const { code, milliseconds } = await late.ended;
  t.log(`later: ${code} after ${milliseconds.toFixed(0)} ms`);
  // The mount may just be going.
  t.regex(code ?? '', transport === 'dev_fuse' ? /^ETIMEDOUT$/ : /^(ENOENT|ENOTCONN)$/);
  t.true(milliseconds < STALL_TIMEOUT + LATE);
  process.kill(staller.pid, 'SIGKILL');
  await staller.ended;
  if (transport === 'io_uring') await untilUnmounted(dir);
  else await umount(dir);
});

overBoth('a thread that sleeps is reported with the function that it sleeps in', async (t, transport) => {
  const dir = await mountpoint(t);
  const staller = new Staller(t, dir, transport, 'report', 'Atomics.wait');
  await staller.go();
  await sleep(STALL_TIMEOUT / 4);
  t.is((await cat(`${dir}/file`).ended).code, undefined);
  t.is(await staller.ended, 0);
  t.regex(staller.report, /it sleeps in the kernel \(\w*futex\w*\): Atomics\.wait/);
});

for (const [what, onStall] of [
  ['nothing', 'fail'],
  ['a long computation', 'fail'],
  ['a long computation', 'ignore'],
] as const) {
  overBoth(`${what} with onStall '${onStall}' is no stall while nobody waits`, async (t, transport) => {
    const dir = await mountpoint(t);
    const staller = new Staller(t, dir, transport, onStall, what);
    await staller.go();
    // Held by its handler, which is no concern of the thread's.
    const held = what === 'nothing' ? cat(`${dir}/never`) : undefined;
    t.is(await staller.ended, 0);
    t.is(staller.report, '');
    t.is(staller.said('stalls'), '0');
    t.is(staller.said('afterwards'), '23');
    t.is(staller.said('mount'), 'ended');
    await held?.ended;
  });
}

overBoth('a process that was stopped for a while has not stalled', async (t, transport) => {
  const dir = await mountpoint(t);
  const staller = new Staller(t, dir, transport, 'fail', 'nothing');
  await staller.go();
  process.kill(staller.pid, 'SIGSTOP');
  const caller = cat(`${dir}/file`);
  await sleep(3 * STALL_TIMEOUT);
  process.kill(staller.pid, 'SIGCONT');
  t.is((await caller.ended).output, 'the contents of a file\n');
  t.is(await staller.ended, 0);
  t.is(staller.report, '');
});

overBoth('a worker that is busy is reported, by way of the thread that mounted', async (t, transport) => {
  const told: Stall[] = [];
  const tell = (stall: unknown): void => void told.push(stall as Stall);
  subscribe('ringfuse:stall', tell);
  t.teardown(() => unsubscribe('ringfuse:stall', tell));
  const dir = await mountpoint(t);
  const module = new URL('support/busy-worker.js', import.meta.url);
  const options = { ...UNCACHED, transport, stallTimeout: STALL_TIMEOUT, workers: { module, count: 1 } };
  const fs = await mount(dir, options);
  t.teardown(() => fs.destroy());
  const { code, milliseconds } = await stat(`${dir}/busy`).ended;
  t.is(code, 'ENOENT');
  t.true(milliseconds >= BUSY);
  while (told.length === 0) await sleep(10);
  t.is(told.length, 1);
  t.like(told[0], { path: dir, cause: 'busy', outcome: 'waiting' });
  t.deepEqual(
    told[0].requests.map(({ op }) => op),
    ['lookup'],
  );
  t.true(told[0].callers.some(({ program }) => program === 'stat'));
  t.true(told[0].milliseconds >= STALL_TIMEOUT && told[0].milliseconds < BUSY);
  t.is(fs.stats().stalls, 1);
});

test('options of stalls that are none are refused', async (t) => {
  const refused: readonly (readonly [options: object, message: RegExp])[] = [
    [{ onStall: 'panic' }, /onStall: it must be one of report, fail, ignore/],
    [{ stallTimeout: 0 }, /stallTimeout: it must be a whole number from 10/],
    [{ stallTimeout: '5' }, /stallTimeout/],
  ];
  for (const [options, message] of refused) {
    await t.throwsAsync(mount('/', options), { code: 'ERR_RINGFUSE_OPTION', message });
  }
});

async function umount(dir: string): Promise<void> {
  await once(spawn('umount', ['-l', dir]), 'close');
}
