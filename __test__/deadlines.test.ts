/** Requests that are not answered in time. */

import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { FuseError, type Mount, mount, type ReadRequest, type Request } from 'ringfuse';
import { Caller, cat, stat } from './support/callers.ts';
import { mounted } from './support/mounted.ts';
import { CONTENTS, inoOf, sandbox, UNCACHED } from './support/sandbox.ts';
import { overBoth } from './support/transports.ts';

const LIMIT = 300;

/** Milliseconds that a caller may have to wait beyond the limit: the machine may be busy. */
const LATE = 2000;

/** Writes `size` times `letter` in one request. */
function writes(path: string, letter: string, size: number): Caller {
  const command = `head -c ${size} /dev/zero | tr '\\000' ${letter} | dd of="$1" bs=${size} iflag=fullblock conv=notrunc status=none`;
  return new Caller('sh', '-c', command, 'sh', path);
}

overBoth('a caller gets ETIMEDOUT when the deadline of its request has passed', async (t, transport) => {
  const reasons: unknown[] = [];
  const handlers = sandbox({
    read: (request) => {
      request.signal.addEventListener('abort', () => reasons.push(request.signal.reason, request.replied));
      return new Promise<never>(() => undefined);
    },
  });
  const options = { ...UNCACHED, transport, timeout: { read: LIMIT, default: 60_000 } };
  const { path, mount: fs } = await mounted(t, handlers, options);
  const { code, milliseconds } = await cat(path('never')).ended;
  t.is(code, 'ETIMEDOUT');
  t.true(milliseconds >= LIMIT && milliseconds < LIMIT + LATE, `after ${milliseconds} ms`);
  t.is(reasons.length, 2);
  t.true(FuseError.is(reasons[0]));
  t.like(reasons[0], { code: 'ETIMEDOUT', message: `read: no reply within ${LIMIT} ms` });
  t.true(reasons[1] as boolean);
  t.is((await stat(path('file')).ended).code, undefined, 'other operations have their own deadlines');
  t.is(fs.stats().timeouts, 1);
  t.is(fs.outstanding, 0);
});

overBoth('what a handler replies after the deadline is dropped, however it does', async (t, transport) => {
  const late: { readonly [how: string]: (request: ReadRequest) => number | Promise<number> } = {
    'a promise that gives a value': async () => {
      await sleep(2 * LIMIT);
      return 0;
    },
    'a promise that rejects': async () => {
      await sleep(2 * LIMIT);
      throw new Error('late');
    },
    'a promise of a wrong shape': async () => {
      await sleep(2 * LIMIT);
      return 'late' as unknown as number;
    },
    'a call of reply': async (request) => {
      await sleep(2 * LIMIT);
      request.reply(5);
      request.reply(Promise.reject(new Error('late')));
      done.push(request.replied);
      return 0;
    },
    'a call of fail': async (request) => {
      await sleep(2 * LIMIT);
      request.fail('EIO');
      request.fail(new Error('late'));
      done.push(request.replied);
      return 0;
    },
  };
  const done: boolean[] = [];
  const reported: unknown[] = [];
  let behaviour: (request: ReadRequest) => number | Promise<number> = () => 0;
  const options = {
    ...UNCACHED,
    transport,
    timeout: { read: LIMIT },
    onError: (e: unknown) => reported.push(e),
  };
  const { path, mount: fs } = await mounted(t, sandbox({ read: (request) => behaviour(request) }), options);
  for (const [how, next] of Object.entries(late)) {
    behaviour = next;
    t.is((await cat(path('file')).ended).code, 'ETIMEDOUT', how);
  }
  await sleep(2 * LIMIT);
  t.deepEqual(done, [true, true]);
  t.deepEqual(reported, []);
  behaviour = ({ offset }) => (offset === 0 ? 7 : 0);
  t.is((await cat(path('file')).ended).output, '\0'.repeat(7), 'the mount goes on');
  t.is(fs.stats().timeouts, Object.keys(late).length);
  t.is(fs.stats().refusedReplies, 0);
});

overBoth('reading a request after its deadline says so', async (t, transport) => {
  const seen: unknown[] = [];
  const handlers = sandbox({
    write: async (request) => {
      await sleep(2 * LIMIT);
      try {
        seen.push(request.data);
      } catch (error) {
        seen.push(error);
      }
      return 0;
    },
  });
  const { path } = await mounted(t, handlers, { ...UNCACHED, transport, timeout: { write: LIMIT } });
  const { code } = await writes(path('file'), 'x', 10).ended;
  t.is(code, 'ETIMEDOUT');
  await sleep(2 * LIMIT);
  t.like(seen[0], { code: 'ETIMEDOUT' });
});

overBoth(
  "memory that a handler still works on after the deadline is no other request's",
  async (t, transport) => {
    const SIZE = 65_536;
    const views: Buffer[] = [];
    const written: Buffer[] = [];
    const handlers = sandbox({
      read: ({ ino, offset, buffer }) => {
        if (ino !== inoOf('never')) return offset === 0 ? buffer.fill('r').length : 0;
        views.push(buffer);
        return new Promise<never>(() => undefined);
      },
      write: async ({ ino, data }) => {
        if (ino === inoOf('never')) {
          views.push(data);
          return new Promise<never>(() => undefined);
        }
        // As a handler that is overdue, and whose system call goes on.
        for (const view of views) view.fill('!');
        written.push(Buffer.from(data));
        return data.length;
      },
    });
    const timeout = { read: LIMIT, write: LIMIT };
    const { path } = await mounted(t, handlers, { ...UNCACHED, transport, timeout, queueDepth: 1 });
    t.is((await cat(path('never')).ended).code, 'ETIMEDOUT');
    t.is((await writes(path('never'), 'n', SIZE).ended).code, 'ETIMEDOUT');
    t.is(views.length, 2);
    for (let round = 0; round < 4; round++) {
      t.is((await writes(path('file'), 'w', SIZE).ended).code, undefined);
      for (const view of views)
        t.true(
          view.every((byte) => byte === 0x21),
          'only its handler writes to it',
        );
    }
    t.is(written.length, 4);
    for (const data of written) t.true(data.equals(Buffer.alloc(SIZE, 'w')));
    for (const view of views) view.fill('!');
    const read = await new Caller('dd', `if=${path('file')}`, `bs=${SIZE}`, 'count=1', 'status=none').ended;
    t.true(read.output === 'r'.repeat(SIZE));
  },
);

overBoth('with a deadline a buffer that is filled and counted reaches the caller', async (t, transport) => {
  const handlers = sandbox({
    read: async ({ offset, size, buffer }) => {
      await sleep(5);
      return CONTENTS.copy(buffer, 0, offset, offset + size);
    },
  });
  const { path } = await mounted(t, handlers, { ...UNCACHED, transport, timeout: 30_000 });
  t.is((await cat(path('file')).ended).output, CONTENTS.toString());
});

overBoth('many deadlines pass in their order, and none too early', async (t, transport) => {
  const limits = new Map<string, number>([
    ['read', 2 * LIMIT],
    ['lookup', LIMIT],
    ['statfs', 3 * LIMIT],
  ]);
  const over: string[] = [];
  const began = new Map<Request, number>();
  const early: string[] = [];
  const wait = (request: Request): Promise<never> => {
    began.set(request, performance.now());
    request.signal.addEventListener('abort', () => {
      const limit = limits.get(request.op) ?? 0;
      if (performance.now() - (began.get(request) ?? 0) < limit - 5) early.push(request.op);
      over.push(request.op);
    });
    return new Promise<never>(() => undefined);
  };
  const lookup = sandbox().lookup ?? wait;
  const handlers = sandbox({
    read: wait,
    statfs: wait,
    lookup: (request) => (request.name === 'slow' ? wait(request) : lookup(request)),
  });
  const options = { ...UNCACHED, transport, timeout: Object.fromEntries(limits) };
  const { path, dir } = await mounted(t, handlers, options);
  const callers = [
    ...Array.from({ length: 5 }, () => cat(path('file'))),
    new Caller('stat', '--file-system', dir),
    stat(path('slow')),
  ];
  const codes = await Promise.all(callers.map(async ({ ended }) => (await ended).code));
  t.deepEqual(
    codes,
    callers.map(() => 'ETIMEDOUT'),
  );
  t.deepEqual(early, []);
  t.deepEqual(over, ['lookup', ...Array.from({ length: 5 }, () => 'read'), 'statfs']);
});

overBoth('a deadline that is longer than a timer of Node.js can be is kept, too', async (t, transport) => {
  const warnings: string[] = [];
  const noticeWarning = ({ name }: Error): void => void warnings.push(name);
  process.on('warning', noticeWarning);
  t.teardown(() => process.off('warning', noticeWarning));
  const { path, mount } = await mounted(t, sandbox(), { ...UNCACHED, transport, timeout: 3e9 });
  t.is((await cat(path('file')).ended).code, undefined);
  await sleep(50);
  t.deepEqual(warnings, []);
  t.is(mount.stats().timeouts, 0);
});

test('a lock that is waited for has no deadline but its own', async (t) => {
  const { timeoutsByOpcode } = await import('#ringfuse/deadlines.js');
  const { OPCODE } = await import('#ringfuse/generated/layout.js');
  const all = timeoutsByOpcode(5);
  t.is(all[OPCODE.READ], 5);
  t.is(all[OPCODE.COPY_FILE_RANGE_64], 5);
  t.is(all[OPCODE.SETLKW], Number.POSITIVE_INFINITY);
  t.is(all[OPCODE.FORGET], Number.POSITIVE_INFINITY);
  const named = timeoutsByOpcode({ setlkw: 7, read: Number.POSITIVE_INFINITY, default: 5 });
  t.is(named[OPCODE.SETLKW], 7);
  t.is(named[OPCODE.READ], Number.POSITIVE_INFINITY);
  t.is(named[OPCODE.GETATTR], 5);
});

test('a timeout that is none is refused, and says which', async (t) => {
  const refused: readonly (readonly [timeout: unknown, message: RegExp])[] = [
    ['5', /milliseconds/],
    [0, /default must be a number of milliseconds above 0, not 0/],
    [{ read: -1 }, /read must be/],
    [{ read: Number.NaN }, /read must be/],
    [{ reed: 5 }, /there is no operation reed/],
    [null, /not null/],
  ];
  for (const [timeout, message] of refused) {
    const mounting: Promise<Mount> = mount('/', { timeout: timeout as number });
    await t.throwsAsync(mounting, { code: 'ERR_RINGFUSE_OPTION', message }, String(timeout));
  }
});
