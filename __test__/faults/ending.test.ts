import { execFile } from 'node:child_process';
import { open, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { FuseError, type Mount, mount, type Request, serve, type Transport } from 'ringfuse';
import { cat, hold } from '../support/callers.ts';
import { abortConnection, connectionOf } from '../support/connections.ts';
import { mounted, mountpoint } from '../support/mounted.ts';
import { isMounted } from '../support/mounts.ts';
import { CONTENTS, inoOf, noticing, sandbox, UNCACHED } from '../support/sandbox.ts';
import { overBoth } from '../support/transports.ts';

const run = promisify(execFile);

/** What callers see whose requests are in handlers when a mount is ended, or who come afterwards. */
const ENDED = ['ECONNABORTED', 'ENOTCONN'];

/** Milliseconds in which a mount that is told to end at once has to be gone. */
const SOON = 1500;

/** Descriptors of /dev/fuse and io_uring that this process has. */
async function descriptors(): Promise<string[]> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((link) => link === '/dev/fuse' || link.includes('io_uring'));
}

/** The mount is over for everybody: nothing in the tree, no descriptor, no request. */
async function assertGone(t: ExecutionContext, dir: string, fs: Mount): Promise<void> {
  t.false(await isMounted(dir), 'it is out of the tree');
  t.deepEqual(await descriptors(), [], 'no descriptor is left');
  t.is(fs.outstanding, 0);
  t.is(fs.path, dir);
  t.true(fs.stats().replies >= 0, 'the counters can still be read');
  await fs.closed;
}

/** A mount of the sandbox, and a caller whose request no handler answers. */
async function withWaitingCaller(t: ExecutionContext, transport: Transport) {
  const { handlers, noticed } = noticing(
    sandbox(),
    (request) => request.op === 'read' && request.ino === inoOf('never'),
  );
  const all = await mounted(t, handlers, { ...UNCACHED, transport });
  const caller = cat(all.path('never'));
  return { ...all, caller, held: await noticed };
}

const leaving = {
  break: async (fs: Mount) => {
    for await (const _request of fs) break;
  },
  return: async (fs: Mount) => {
    for await (const _request of fs) return;
  },
  throw: async (fs: Mount) => {
    for await (const _request of fs) throw new Error('out of here');
  },
};

for (const [how, leave] of Object.entries(leaving)) {
  overBoth(
    `leaving the loop by ${how} ends the mount, and fails the request it holds`,
    async (t, transport) => {
      const dir = await mountpoint(t);
      const fs = await mount(dir, { transport });
      const caller = cat(join(dir, 'file'));
      const left = leave(fs);
      if (how === 'throw') await t.throwsAsync(left, { message: 'out of here' });
      else await left;
      await assertGone(t, dir, fs);
      t.true(ENDED.includes((await caller.ended).code ?? ''));
    },
  );
}

overBoth('close() of an idle mount is soon done, and ends the loop', async (t, transport) => {
  const { dir, mount: fs, served, path } = await mounted(t, sandbox(), { transport });
  t.is((await cat(path('file')).ended).output, CONTENTS.toString());
  const started = performance.now();
  await fs.close();
  t.true(performance.now() - started < SOON);
  await served;
  await assertGone(t, dir, fs);
});

overBoth('close() lets open files go on until they are closed', async (t, transport) => {
  const { dir, mount: fs, served, path } = await mounted(t, sandbox(), { ...UNCACHED, transport });
  const file = await open(path('file'));
  const closed = fs.close({ timeout: 60_000 });
  while (await isMounted(dir)) await sleep(5);
  t.is(await Promise.race([closed.then(() => 'closed'), sleep(100, 'open')]), 'open');
  t.is((await file.read(Buffer.alloc(100), 0, 100, 0)).bytesRead, CONTENTS.length);
  await t.throwsAsync(readFile(path('file')), { code: 'ENOENT' }, 'nothing new can be opened');
  await file.close();
  await closed;
  await served;
  await assertGone(t, dir, fs);
});

overBoth('close({ timeout }) ends what still runs when the time is over', async (t, transport) => {
  const { dir, mount: fs, served, caller, held } = await withWaitingCaller(t, transport);
  const started = performance.now();
  await fs.close({ timeout: 300 });
  const { code, milliseconds } = await caller.ended;
  t.true(ENDED.includes(code ?? ''), code);
  t.true(performance.now() - started >= 299, 'the handler had its time');
  t.true(performance.now() - started < 300 + SOON, `${milliseconds} ms`);
  t.true(held.signal.aborted);
  t.is(held.signal.reason.code, 'ERR_RINGFUSE_CLOSED');
  await served;
  await assertGone(t, dir, fs);
});

overBoth('close() may be called again, and by several at once', async (t, transport) => {
  const { dir, mount: fs } = await mounted(t, sandbox(), { transport });
  await Promise.all([fs.close(), fs.close(), fs.close()]);
  await fs.close();
  await fs.destroy();
  await assertGone(t, dir, fs);
});

overBoth('destroy() cuts a close() short', async (t, transport) => {
  const { dir, mount: fs, caller, served } = await withWaitingCaller(t, transport);
  const started = performance.now();
  const closed = fs.close({ timeout: 60_000 });
  await fs.destroy();
  await closed;
  await served;
  t.true(ENDED.includes((await caller.ended).code ?? ''));
  t.true(performance.now() - started < SOON);
  await assertGone(t, dir, fs);
});

overBoth('destroy(error) ends the mount at once, and the loop throws that error', async (t, transport) => {
  const { dir, mount: fs, served, caller, held } = await withWaitingCaller(t, transport);
  const started = performance.now();
  const problem = new Error('the backend is gone');
  const rejected = t.throwsAsync(served, { is: problem });
  await fs.destroy(problem);
  await assertGone(t, dir, fs);
  await rejected;
  t.true(ENDED.includes((await caller.ended).code ?? ''));
  t.true(performance.now() - started < SOON);
  t.true(held.signal.aborted);
});

overBoth('destroy() may be called again: the first error counts', async (t, transport) => {
  const { dir, mount: fs, served } = await mounted(t, sandbox(), { transport });
  const rejected = t.throwsAsync(served, { message: 'first' });
  await Promise.all([fs.destroy(new Error('first')), fs.destroy(new Error('second'))]);
  await fs.destroy(new Error('third'));
  await rejected;
  await assertGone(t, dir, fs);
});

overBoth('disposing of a mount ends it, whether or not its loop has begun', async (t, transport) => {
  const dir = await mountpoint(t);
  const unused = await mount(dir, { transport });
  await unused[Symbol.asyncDispose]();
  await assertGone(t, dir, unused);

  const used = await mount(dir, { transport });
  const served = serve(used, sandbox());
  t.is((await cat(join(dir, 'file')).ended).output, CONTENTS.toString());
  await used[Symbol.asyncDispose]();
  await served;
  await used[Symbol.asyncDispose]();
  await assertGone(t, dir, used);
});

test('a signal that is aborted already keeps the filesystem from being mounted', async (t) => {
  const dir = await mountpoint(t);
  const reason = new Error('changed my mind');
  await t.throwsAsync(mount(dir, { signal: AbortSignal.abort(reason) }), { is: reason });
  t.false(await isMounted(dir));
});

overBoth('aborting the signal ends the mount, and the loop throws the reason', async (t, transport) => {
  const controller = new AbortController();
  const { dir, mount: fs, served } = await mounted(t, sandbox(), { transport, signal: controller.signal });
  const reason = new Error('enough');
  const rejected = t.throwsAsync(served, { is: reason });
  controller.abort(reason);
  await rejected;
  await assertGone(t, dir, fs);
});

overBoth('aborting the signal while it is being mounted ends that', async (t, transport) => {
  const dir = await mountpoint(t);
  const controller = new AbortController();
  const mounting = mount(dir, { transport, signal: controller.signal });
  controller.abort(new Error('too slow'));
  const outcome = await mounting
    .then(
      (fs) => serve(fs, sandbox()).then(() => 'ended'),
      (error: Error) => error.message,
    )
    .catch((error: Error) => error.message);
  t.is(outcome, 'too slow');
  t.false(await isMounted(dir));
  t.deepEqual(await descriptors(), []);
});

overBoth('umount from outside ends the loop', async (t, transport) => {
  const { dir, mount: fs, served, path } = await mounted(t, sandbox(), { transport });
  t.is((await cat(path('file')).ended).output, CONTENTS.toString());
  await run('umount', [dir]);
  await served;
  await fs.closed;
  await assertGone(t, dir, fs);
});

overBoth('umount -l from outside ends the loop when the last file is closed', async (t, transport) => {
  // Not a file of this process: starting a program closes it in the child, which asks this process for a FLUSH
  // while it waits for the child.
  const { handlers, noticed } = noticing(sandbox(), ({ op }) => op === 'read');
  const { dir, mount: fs, served, path } = await mounted(t, handlers, { ...UNCACHED, transport });
  const holder = hold(path('file'));
  await noticed;
  await run('umount', ['-l', dir]);
  t.is(await Promise.race([served.then(() => 'ended'), sleep(100, 'serving')]), 'serving');
  holder.kill('SIGTERM');
  await served;
  await fs.closed;
  await assertGone(t, dir, fs);
});

overBoth(
  'an abort from outside fails callers, ends the loop and clears the mountpoint',
  async (t, transport) => {
    const { dir, mount: fs, served, caller, held } = await withWaitingCaller(t, transport);
    const started = performance.now();
    await abortConnection(await connectionOf(dir));
    t.true(ENDED.includes((await caller.ended).code ?? ''));
    await served;
    t.true(performance.now() - started < SOON);
    t.true(held.signal.aborted);
    await assertGone(t, dir, fs);
  },
);

overBoth(
  'an abort from outside is noticed while handlers hold every request there can be',
  async (t, transport) => {
    const held: Request[] = [];
    let full!: () => void;
    const allHeld = new Promise<void>((resolve) => {
      full = resolve;
    });
    const handlers = sandbox({
      lookup: (request) => {
        if (held.push(request) === 1) full();
        return new Promise<never>(() => undefined);
      },
    });
    const { dir, mount: fs, served, path } = await mounted(t, handlers, { transport, queueDepth: 1 });
    const callers = Array.from({ length: 4 }, () => cat(path('file')));
    await allHeld;
    await sleep(50);
    await abortConnection(await connectionOf(dir));
    for (const { ended } of callers) t.true(ENDED.includes((await ended).code ?? ''));
    t.is(await Promise.race([served.then(() => 'ended'), sleep(SOON, 'still waiting')]), 'ended');
    await fs.destroy();
    await assertGone(t, dir, fs);
  },
);

overBoth(
  'a mountpoint is free for the next mount as soon as the last one has ended',
  async (t, transport) => {
    const dir = await mountpoint(t);
    const endings: readonly ((fs: Mount) => Promise<unknown>)[] = [
      (fs) => fs.destroy(),
      (fs) => fs.close(),
      (fs) => leaving.break(fs),
      async (fs) => {
        await run('umount', [dir]);
        await fs.closed;
      },
    ];
    for (let round = 0; round < 40; round++) {
      const fs = await mount(dir, { transport });
      const end = endings[round % endings.length];
      if (end !== endings[2]) void serve(fs, sandbox());
      const caller = cat(join(dir, 'file'));
      const outcome = end === endings[2] ? undefined : await caller.ended;
      await end(fs);
      if (outcome !== undefined) t.is(outcome.output, CONTENTS.toString(), `round ${round}`);
    }
    t.false(await isMounted(dir));
  },
);

test('there is one loop in the life of a mount', async (t) => {
  const { mount: fs } = await mounted(t, sandbox());
  t.throws(() => fs[Symbol.asyncIterator](), { code: 'ERR_RINGFUSE_ITERATED' });
  t.true(FuseError.is(t.throws(() => fs[Symbol.asyncIterator]())));
});

test('close() takes a number of milliseconds, however large', async (t) => {
  const { mount: fs, path } = await mounted(t, sandbox(), UNCACHED);
  for (const timeout of [-1, Number.NaN, '5', null]) {
    await t.throwsAsync(fs.close({ timeout: timeout as number }), { message: /timeout/ });
  }
  const file = await open(path('file'));
  const closed = fs.close({ timeout: Number.POSITIVE_INFINITY });
  t.is(await Promise.race([closed.then(() => 'closed'), sleep(200, 'open')]), 'open');
  await file.close();
  await closed;
});
