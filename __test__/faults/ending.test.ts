/** Ways in which a mount is ended, by its program and from outside. */

import { type ExecException, execFile } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import {
  FuseError,
  type Mount,
  type MountOptions,
  mount,
  type Request,
  serve,
  type Transport,
} from 'ringfuse';
import { cat, hold } from '../support/callers.ts';
import { abortConnection, connectionOf } from '../support/connections.ts';
import { ANSWERED, ENDED, type FaultWatch, faultTest } from '../support/faults.ts';
import { mounted, mountpoint } from '../support/mounted.ts';
import { isMounted } from '../support/mounts.ts';
import { CONTENTS, inoOf, noticing, sandbox, UNCACHED } from '../support/sandbox.ts';
import { overBoth } from '../support/transports.ts';

const run = promisify(execFile);

/** What `umount` itself gets of a mount that is in use. */
const BUSY = 'EBUSY (umount)';

/** Milliseconds in which a mount that is told to end at once has to be gone. */
const SOON = 1500;

/** The mount is over for everybody. */
async function assertGone(
  t: ExecutionContext,
  dir: string,
  fs: Mount,
  watch: FaultWatch,
  error?: Error,
): Promise<void> {
  const closed = fs.closed.then(
    () => undefined,
    (reason) => reason,
  );
  t.is(await watch.inTime('the mount is closed', closed), error, 'what ended it');
  await watch.left(dir);
  t.is(fs.outstanding, 0);
  t.is(fs.path, dir);
  t.true(fs.stats().replies >= 0, 'the counters can still be read');
}

/** A mount of the sandbox, and a caller whose request no handler answers. */
async function withWaitingCaller(t: ExecutionContext, transport: Transport, options: MountOptions = {}) {
  const { handlers, noticed } = noticing(
    sandbox(),
    (request) => request.op === 'read' && request.ino === inoOf('never'),
  );
  const all = await mounted(t, handlers, { ...UNCACHED, transport, ...options });
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
  faultTest(
    {
      kind: 'end',
      name: `the loop over the mount is left by ${how}`,
      callers: ENDED,
      within: SOON,
      left: 'nothing',
    },
    async (t, transport, watch) => {
      const dir = await mountpoint(t);
      const fs = await mount(dir, { transport });
      const caller = cat(join(dir, 'file'));
      while (fs.stats().batches === 0) await sleep(5);
      watch.begin();
      const left = leave(fs);
      if (how === 'throw') await t.throwsAsync(left, { message: 'out of here' });
      else await left;
      await watch.see(caller.ended);
      await assertGone(t, dir, fs, watch);
    },
  );
}

faultTest(
  { kind: 'end', name: 'close() of an idle mount', callers: [], within: SOON, left: 'nothing' },
  async (t, transport, watch) => {
    const { dir, mount: fs, served, path } = await mounted(t, sandbox(), { transport });
    t.is((await cat(path('file')).ended).output, CONTENTS.toString());
    watch.begin();
    await watch.inTime('close()', fs.close());
    await served;
    await assertGone(t, dir, fs, watch);
  },
);

faultTest(
  {
    kind: 'end',
    name: 'close() while a file is open, which is closed later',
    callers: [ANSWERED, 'ENOENT'],
    within: SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
    const { dir, mount: fs, served, path } = await mounted(t, sandbox(), { ...UNCACHED, transport });
    const file = await open(path('file'));
    watch.begin();
    const closed = fs.close({ timeout: 60_000 });
    while (await isMounted(dir)) await sleep(5);
    t.is(await Promise.race([closed.then(() => 'closed'), sleep(100, 'open')]), 'open');
    const { bytesRead } = await file.read(Buffer.alloc(100), 0, 100, 0);
    t.is(bytesRead, CONTENTS.length);
    const opening = await t.throwsAsync(readFile(path('file')), undefined, 'nothing new can be opened');
    await watch.see(Promise.resolve({ code: undefined }), Promise.resolve(opening as NodeJS.ErrnoException));
    await file.close();
    await watch.inTime('close()', closed);
    await served;
    await assertGone(t, dir, fs, watch);
  },
);

faultTest(
  {
    kind: 'end',
    name: 'close({ timeout: 300 }) while a handler does not answer',
    callers: ENDED,
    within: 300 + SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
    const { dir, mount: fs, served, caller, held } = await withWaitingCaller(t, transport);
    watch.begin();
    const started = performance.now();
    await watch.inTime('close()', fs.close({ timeout: 300 }));
    t.true(performance.now() - started >= 299, 'the handler had its time');
    await watch.see(caller.ended);
    t.true(held.signal.aborted);
    t.is(held.signal.reason.code, 'ERR_RINGFUSE_CLOSED');
    await served;
    await assertGone(t, dir, fs, watch);
  },
);

faultTest(
  { kind: 'end', name: 'close() by several at once, and again', callers: [], within: SOON, left: 'nothing' },
  async (t, transport, watch) => {
    const { dir, mount: fs } = await mounted(t, sandbox(), { transport });
    watch.begin();
    await Promise.all([fs.close(), fs.close(), fs.close()]);
    await fs.close();
    await fs.destroy();
    await assertGone(t, dir, fs, watch);
  },
);

faultTest(
  {
    kind: 'end',
    name: 'destroy() while close() waits for a handler',
    callers: ENDED,
    within: SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
    const { dir, mount: fs, caller, served } = await withWaitingCaller(t, transport);
    watch.begin();
    const closed = fs.close({ timeout: 60_000 });
    await fs.destroy();
    await watch.inTime('close()', closed);
    await served;
    await watch.see(caller.ended);
    await assertGone(t, dir, fs, watch);
  },
);

faultTest(
  {
    kind: 'end',
    name: 'destroy(error) while a handler does not answer',
    callers: ENDED,
    within: SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
    const { dir, mount: fs, served, caller, held } = await withWaitingCaller(t, transport);
    const problem = new Error('the backend is gone');
    const rejected = t.throwsAsync(served, { is: problem });
    watch.begin();
    await fs.destroy(problem);
    await watch.see(caller.ended);
    await assertGone(t, dir, fs, watch, problem);
    await rejected;
    t.true(held.signal.aborted);
  },
);

faultTest(
  {
    kind: 'end',
    name: 'destroy() by several at once, and again',
    callers: [],
    within: SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
    const { dir, mount: fs, served } = await mounted(t, sandbox(), { transport });
    const first = new Error('first');
    const rejected = t.throwsAsync(served, { is: first });
    watch.begin();
    await Promise.all([fs.destroy(first), fs.destroy(new Error('second'))]);
    await fs.destroy(new Error('third'));
    await rejected;
    await assertGone(t, dir, fs, watch, first);
  },
);

faultTest(
  {
    kind: 'end',
    name: 'await using: the mount is disposed of, before and during its loop',
    callers: [ANSWERED],
    within: SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
    const dir = await mountpoint(t);
    const unused = await mount(dir, { transport });
    watch.begin();
    await unused[Symbol.asyncDispose]();
    await assertGone(t, dir, unused, watch);

    const used = await mount(dir, { transport });
    const served = serve(used, sandbox());
    await watch.see(cat(join(dir, 'file')).ended);
    watch.begin();
    await used[Symbol.asyncDispose]();
    await served;
    await used[Symbol.asyncDispose]();
    await assertGone(t, dir, used, watch);
  },
);

test('a signal that is aborted already keeps the filesystem from being mounted', async (t) => {
  const dir = await mountpoint(t);
  const reason = new Error('changed my mind');
  await t.throwsAsync(mount(dir, { signal: AbortSignal.abort(reason) }), { is: reason });
  t.false(await isMounted(dir));
});

faultTest(
  { kind: 'end', name: 'the AbortSignal is aborted', callers: ENDED, within: SOON, left: 'nothing' },
  async (t, transport, watch) => {
    const controller = new AbortController();
    const { signal } = controller;
    const { dir, mount: fs, served, caller } = await withWaitingCaller(t, transport, { signal });
    const reason = new Error('enough');
    const rejected = t.throwsAsync(served, { is: reason });
    watch.begin();
    controller.abort(reason);
    await watch.inTime('the loop throws', rejected);
    await watch.see(caller.ended);
    await assertGone(t, dir, fs, watch, reason);
  },
);

faultTest(
  {
    kind: 'start',
    name: 'the AbortSignal is aborted while it is being mounted',
    callers: [],
    within: SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
    const dir = await mountpoint(t);
    const controller = new AbortController();
    const mounting = mount(dir, { transport, signal: controller.signal });
    watch.begin();
    controller.abort(new Error('too slow'));
    const outcome = await mounting
      .then(
        (fs) => serve(fs, sandbox()).then(() => 'ended'),
        (error: Error) => error.message,
      )
      .catch((error: Error) => error.message);
    t.is(outcome, 'too slow');
    await watch.left(dir);
  },
);

faultTest(
  { kind: 'outside', name: 'umount', callers: [], within: SOON, left: 'nothing' },
  async (t, transport, watch) => {
    const { dir, mount: fs, served, path } = await mounted(t, sandbox(), { transport });
    t.is((await cat(path('file')).ended).output, CONTENTS.toString());
    watch.begin();
    await run('umount', [dir]);
    await watch.inTime('the loop ends', served);
    await assertGone(t, dir, fs, watch);
  },
);

faultTest(
  {
    kind: 'outside',
    name: 'umount -l while a file is open, which is closed later',
    callers: [ANSWERED],
    within: SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
    // Not a file of this process: starting a program closes it in the child, which asks this process for a FLUSH
    // while it waits for the child.
    const { handlers, noticed } = noticing(sandbox(), ({ op }) => op === 'read');
    const { dir, mount: fs, served, path } = await mounted(t, handlers, { ...UNCACHED, transport });
    const holder = hold(path('file'));
    await noticed;
    await run('umount', ['-l', dir]);
    t.is(await Promise.race([served.then(() => 'ended'), sleep(100, 'serving')]), 'serving');
    watch.begin();
    holder.kill('SIGTERM');
    await watch.see(holder.ended);
    await watch.inTime('the loop ends', served);
    await assertGone(t, dir, fs, watch);
  },
);

faultTest(
  {
    kind: 'outside',
    name: 'umount while a handler does not answer',
    callers: [BUSY],
    within: SOON,
    left: 'the mount',
  },
  async (t, transport, watch) => {
    const { dir } = await withWaitingCaller(t, transport);
    watch.begin();
    const { stderr } = (await t.throwsAsync(run('umount', [dir], { env: { LC_ALL: 'C' } }))) as ExecException;
    await watch.see(Promise.resolve({ code: /busy/.test(stderr ?? '') ? BUSY : stderr }));
    await watch.left(dir);
  },
);

faultTest(
  {
    kind: 'outside',
    name: 'umount -f while a handler does not answer',
    callers: ENDED,
    within: SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
    const { dir, mount: fs, served, caller, held } = await withWaitingCaller(t, transport);
    watch.begin();
    // It may find the mount in use, by the very callers that it ends.
    await run('umount', ['-f', dir]).catch(() => undefined);
    await watch.see(caller.ended);
    await watch.inTime('the loop ends', served);
    t.true(held.signal.aborted);
    await assertGone(t, dir, fs, watch);
  },
);

faultTest(
  {
    kind: 'outside',
    name: 'abort by the FUSE control filesystem',
    callers: ENDED,
    within: SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
    const { dir, mount: fs, served, caller, held } = await withWaitingCaller(t, transport);
    const connection = await connectionOf(dir);
    watch.begin();
    await abortConnection(connection);
    await watch.see(caller.ended);
    await watch.inTime('the loop ends', served);
    t.true(held.signal.aborted);
    await assertGone(t, dir, fs, watch);
  },
);

faultTest(
  {
    kind: 'outside',
    name: 'abort by the FUSE control filesystem, while handlers hold every slot and more requests wait',
    callers: ENDED,
    within: SOON,
    left: 'nothing',
  },
  async (t, transport, watch) => {
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
    const connection = await connectionOf(dir);
    watch.begin();
    await abortConnection(connection);
    await watch.see(...callers.map(({ ended }) => ended));
    await watch.inTime('the loop ends', served);
    await fs.destroy();
    await assertGone(t, dir, fs, watch);
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
