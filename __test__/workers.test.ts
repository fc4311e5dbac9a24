/** Mounts that worker threads serve. */

import { readdir, readlink } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { type Mount, type MountOptions, mount, serve, type WorkersOptions } from 'ringfuse';
import { shareOut } from '#ringfuse/cpus.js';
import { Caller, cat } from './support/callers.ts';
import { mountpoint } from './support/mounted.ts';
import { isMounted } from './support/mounts.ts';
import { UNCACHED } from './support/sandbox.ts';
import { over, overBoth } from './support/transports.ts';
import type { Served } from './support/worker-sandbox.ts';

const MODULE = new URL('support/worker-sandbox.js', import.meta.url);
const CPUS = Array.from({ length: availableParallelism() }, (_, cpu) => cpu);
const ENDED = ['ECONNABORTED', 'ENOTCONN'];

/** Mounts the sandbox in workers until the test is over. */
async function inWorkers(
  t: ExecutionContext,
  options: MountOptions,
  workers: Partial<WorkersOptions> = {},
): Promise<{ dir: string; fs: Mount; lookups: Int32Array; errors: unknown[] }> {
  const dir = await mountpoint(t);
  const lookups = new Int32Array(new SharedArrayBuffer(4));
  const errors: unknown[] = [];
  const fs = await mount(dir, {
    ...UNCACHED,
    ...options,
    onError: (error) => errors.push(error),
    workers: { module: MODULE, data: { lookups }, ...workers },
  });
  t.teardown(() => fs.destroy());
  return { dir, fs, lookups, errors };
}

/** Who answers the requests of a CPU. */
async function servedOn(dir: string, cpu: number): Promise<Served> {
  const { output, code } = await new Caller('taskset', '--cpu-list', String(cpu), 'cat', `${dir}/file`).ended;
  if (code !== undefined) throw new Error(code);
  return JSON.parse(output);
}

/** Resolves when workers hold so many requests. */
async function untilHeld(fs: Mount, count: number): Promise<void> {
  while (fs.outstanding !== count) await sleep(5);
}

async function threads(): Promise<number> {
  return (await readdir('/proc/self/task')).length;
}

async function descriptors(): Promise<string[]> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((link) => link === '/dev/fuse' || link.includes('io_uring'));
}

over('io_uring', 'each CPU has its worker', async (t, transport) => {
  const { dir, lookups } = await inWorkers(t, { transport });
  for (const cpu of CPUS) {
    const { cpus, count, index } = await servedOn(dir, cpu);
    t.true(cpus.includes(cpu), `CPU ${cpu} is served by worker ${index}, which has ${cpus}`);
    t.is(count, CPUS.length);
  }
  t.true(lookups[0] >= CPUS.length, 'memory is shared with the application');
});

overBoth('one worker serves all CPUs', async (t, transport) => {
  const { dir } = await inWorkers(t, { transport }, { count: 1, pin: false });
  for (const cpu of CPUS) t.like(await servedOn(dir, cpu), { index: 0, count: 1 });
});

overBoth('workers let go of everything when the mount is closed', async (t, transport) => {
  const before = await threads();
  const { dir, fs } = await inWorkers(t, { transport });
  await servedOn(dir, 0);
  const served = serve(fs, {});
  await fs.close();
  await served;
  t.false(await isMounted(dir));
  t.deepEqual(await descriptors(), []);
  t.is(fs.outstanding, 0);
  t.true((await threads()) <= before + 1, 'the thread of the notifier may be about to end');
});

overBoth('destroy() fails what workers hold', async (t, transport) => {
  const { dir, fs } = await inWorkers(t, { transport });
  const callers = CPUS.map((cpu) => new Caller('taskset', '--cpu-list', String(cpu), 'cat', `${dir}/never`));
  await untilHeld(fs, CPUS.length);
  await fs.destroy();
  for (const { ended } of callers) t.true(ENDED.includes((await ended).code ?? ''));
  t.deepEqual(await descriptors(), []);
});

overBoth('an unmount from outside ends the workers, and the loop', async (t, transport) => {
  const { dir, fs } = await inWorkers(t, { transport });
  await servedOn(dir, 0);
  const served = serve(fs, {});
  t.is((await new Caller('umount', dir).ended).code, undefined);
  await served;
  await fs.closed;
  t.deepEqual(await descriptors(), []);
});

overBoth('what no caller can be told of in a worker is told to the mount', async (t, transport) => {
  const { dir, errors } = await inWorkers(t, { transport });
  t.is((await cat(`${dir}/wrong`).ended).code, 'EIO');
  t.like(errors, { length: 1, 0: { message: 'lookup: no errno' } });
});

overBoth(
  'an error of a worker whose code is unknown here is told to the mount as well',
  async (t, transport) => {
    const { dir, errors } = await inWorkers(t, { transport });
    t.is((await cat(`${dir}/unknown`).ended).code, 'EIO');
    t.like(errors, { length: 1, 0: { message: 'lookup: of another version', code: 'EUNKNOWNHERE' } });
  },
);

overBoth('a worker can notify, and has the answers to what it asks', async (t, transport) => {
  const { dir, errors } = await inWorkers(t, { transport });
  await servedOn(dir, 0);
  for (const cpu of CPUS) {
    const asked = await new Caller('taskset', '--cpu-list', String(cpu), 'cat', `${dir}/stored`).ended;
    t.is(asked.code, 'ENOENT');
  }
  t.deepEqual(errors, []);
});

for (const [how, message] of [
  ['exit', /exit code 3/],
  ['throw', /nobody catches this/],
  ['memory', /memory limit/],
] as const) {
  overBoth(
    `a worker that dies (${how}) is replaced, and what it held fails with EIO`,
    async (t, transport) => {
      const { dir, fs, errors } = await inWorkers(t, { transport }, { count: 1 });
      const before = await servedOn(dir, 0);
      const held = [cat(`${dir}/never`), cat(`${dir}/never`)];
      await untilHeld(fs, held.length);
      const killer = cat(`${dir}/${how}`);
      for (const { ended } of [...held, killer]) t.is((await ended).code, 'EIO');
      const after = await servedOn(dir, 0);
      t.is(after.index, before.index);
      t.not(after.threadId, before.threadId);
      t.like(errors, { length: 1, 0: { code: 'ERR_RINGFUSE_WORKER' } });
      t.regex(String(errors[0]), message);
      await untilHeld(fs, 0);
      await fs.close();
      t.deepEqual(await descriptors(), []);
    },
  );
}

overBoth('requests wait while a dead worker is replaced', async (t, transport) => {
  const { dir, errors } = await inWorkers(t, { transport });
  for (let round = 0; round < 3; round += 1) {
    const others = CPUS.flatMap((cpu) => [servedOn(dir, cpu), servedOn(dir, cpu)]);
    const killer = cat(`${dir}/exit`);
    t.is((await killer.ended).code, 'EIO');
    for (const other of await Promise.allSettled(others)) {
      // The dead worker held it, or its thread was about to be given it.
      if (other.status === 'rejected') t.true(['EIO', 'ECANCELED'].includes(other.reason.message));
    }
    t.like(await servedOn(dir, 0), { count: CPUS.length });
    while (errors.length <= round) await sleep(5);
    // A life of more than a second counts as none that ended at once.
    await sleep(1100);
  }
});

overBoth(
  'a request that comes while a worker is replaced waits for the new one, alone as it is',
  async (t, transport) => {
    const { dir } = await inWorkers(t, { transport }, { count: 1, pin: false });
    const killer = cat(`${dir}/exit`);
    await sleep(30);
    const others = CPUS.map((cpu) => servedOn(dir, cpu));
    t.is((await killer.ended).code, 'EIO');
    for (const other of others) t.like(await other, { index: 0 });
  },
);

overBoth('a mount whose workers die again and again ends with their error', async (t, transport) => {
  const { dir, fs } = await inWorkers(t, { transport }, { count: 1 });
  const served = serve(fs, {});
  const ended = t.throwsAsync(served, { code: 'ERR_RINGFUSE_WORKER' });
  for (let code: string | undefined = 'EIO'; code === 'EIO'; ) code = (await cat(`${dir}/exit`).ended).code;
  await ended;
  t.false(await isMounted(dir));
  t.deepEqual(await descriptors(), []);
});

overBoth('a signal to a caller aborts its request in the worker that has it', async (t, transport) => {
  const { dir, fs } = await inWorkers(t, { transport });
  for (const cpu of CPUS) {
    const { interrupts } = fs.stats();
    // What is held may be a request that was just about to be answered.
    for (let tries = 0; fs.stats().interrupts === interrupts && tries < 20; tries++) {
      const caller = new Caller('taskset', '--cpu-list', String(cpu), 'cat', `${dir}/never`);
      await untilHeld(fs, 1);
      caller.kill('SIGTERM');
      await caller.ended;
      await untilHeld(fs, 0);
    }
    t.true(fs.stats().interrupts > interrupts);
  }
});

overBoth(
  'a module that does not load is an error of mount, and nothing stays mounted',
  async (t, transport) => {
    const dir = await mountpoint(t);
    for (const [module, message] of [
      [new URL('support/nothing.js', import.meta.url), /nothing\.js/],
      [fileURLToPath(new URL('support/worker-none.js', import.meta.url)), /default export must be handlers/],
    ] as const) {
      await t.throwsAsync(mount(dir, { transport, workers: { module } }), {
        code: 'ERR_RINGFUSE_WORKER',
        message,
      });
      t.false(await isMounted(dir));
      t.deepEqual(await descriptors(), []);
    }
  },
);

test('options of workers that cannot be are refused', async (t) => {
  for (const [workers, message] of [
    ['./module.js', /an object with a module/],
    [{ module: './module.js' }, /absolute path or a URL/],
    [{ module: MODULE, count: 0 }, /whole number from 1 to 1024/],
    [{ module: MODULE, pin: 1 }, /pin is true or false/],
    [{ module: MODULE, number: 1 }, /without number/],
  ] as const) {
    const options = { workers } as unknown as MountOptions;
    await t.throwsAsync(mount('/nowhere', options), { code: 'ERR_RINGFUSE_OPTION', message });
  }
});

test('queues are shared out evenly, each once', (t) => {
  for (const [queues, count, sizes] of [
    [1, 4, [1]],
    [2, 2, [1, 1]],
    [8, 3, [2, 3, 3]],
    [64, 1, [64]],
  ] as const) {
    const groups = shareOut(queues, count);
    t.deepEqual(
      groups.map(({ length }) => length),
      [...sizes],
    );
    t.deepEqual(
      groups.flat().sort((a, b) => a - b),
      Array.from({ length: queues }, (_, queue) => queue),
    );
  }
});
