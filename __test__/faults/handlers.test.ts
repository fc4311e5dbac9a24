/** Handlers that do not what they ought to: what their callers see. Nobody else notices. */

import { setTimeout as sleep } from 'node:timers/promises';
import { FuseError, type FuseRequest, type Handlers } from 'ringfuse';
import { Caller, cat, stat } from '../support/callers.ts';
import { ANSWERED, ENDED, type Fault, faultTest } from '../support/faults.ts';
import { type Mounted, mounted } from '../support/mounted.ts';
import { inoOf, noticing, sandbox, UNCACHED } from '../support/sandbox.ts';

const fault = (name: string, ...callers: readonly string[]): Fault => ({
  kind: 'handler',
  name,
  callers,
  within: 1500,
  left: 'the mount',
});

/** What goes wrong in a handler, and what its caller sees. */
interface Misbehaviour {
  readonly handlers: Handlers;
  readonly code: string;
  /** The error that `onError` is told of, by name. */
  readonly reported?: string;
  /** The program that notices; default: one that looks a name up. */
  readonly call?: (mount: Mounted) => Caller;
}

const lookup = (handler: () => unknown): Handlers => ({ lookup: handler as Handlers['lookup'] });

const misbehaviours: Readonly<Record<string, Misbehaviour>> = {
  'a handler throws an error with an errno': {
    handlers: lookup(() => {
      throw new FuseError('ENOENT');
    }),
    code: 'ENOENT',
  },
  'a handler throws anything else': {
    handlers: lookup(() => {
      throw new Error('a bug');
    }),
    code: 'EIO',
    reported: 'Error',
  },
  'the promise of a handler is rejected with an error of the system': {
    handlers: lookup(() => Promise.reject(Object.assign(new Error('no'), { code: 'ENOENT' }))),
    code: 'ENOENT',
  },
  'the promise of a handler is rejected with anything else': {
    handlers: lookup(() => Promise.reject(new Error('a bug'))),
    code: 'EIO',
    reported: 'Error',
  },
  'a handler answers what is no answer': {
    handlers: lookup(() => ({ ino: 'x' })),
    code: 'EIO',
    reported: 'TypeError',
  },
  'the promise of a handler gives what is no answer': {
    handlers: lookup(() => Promise.resolve(7)),
    code: 'EIO',
    reported: 'TypeError',
  },
  'a read answers more bytes than were asked for': {
    handlers: { read: ({ size }) => Buffer.alloc(size + 1) },
    code: 'EIO',
    reported: 'TypeError',
    call: ({ path }) => cat(path('file')),
  },
  'a write says that it wrote more than it was given': {
    handlers: { write: ({ size }) => size + 1 },
    code: 'EIO',
    reported: 'TypeError',
    call: ({ path }) =>
      new Caller(
        'dd',
        'if=/dev/zero',
        `of=${path('file')}`,
        'bs=10',
        'count=1',
        'conv=notrunc',
        'status=none',
      ),
  },
  'there is no handler': {
    handlers: {},
    code: 'ENOSYS',
    call: ({ path }) => new Caller('rm', path('file')),
  },
};

const lookUp = ({ path }: Mounted): Caller => stat(path('name'));

for (const [name, { handlers, code, reported, call = lookUp }] of Object.entries(misbehaviours)) {
  faultTest(fault(name, code), async (t, transport, watch) => {
    const errors: unknown[] = [];
    const onError = (error: unknown): void => void errors.push(error);
    const mount = await mounted(t, sandbox(handlers), { ...UNCACHED, transport, onError });
    watch.begin();
    await watch.see(call(mount).ended);
    t.deepEqual(
      errors.map((error) => (error as Error).name),
      reported === undefined ? [] : [reported],
    );
    await watch.left(mount.dir);
  });
}

faultTest(fault('a handler answers twice', ANSWERED), async (t, transport, watch) => {
  const errors: unknown[] = [];
  const read: Handlers['read'] = (request) => {
    request.reply(Buffer.from(request.offset === 0 ? 'first' : ''));
    for (const again of [
      () => request.reply(Buffer.from('second')),
      () => request.fail('EIO'),
      () => request.buffer,
    ]) {
      errors.push(t.throws(again, { code: 'ERR_RINGFUSE_REPLIED' }));
    }
    return undefined as never;
  };
  const { dir, path } = await mounted(t, sandbox({ read }), { ...UNCACHED, transport });
  watch.begin();
  const caller = cat(path('file'));
  await watch.see(caller.ended);
  t.is((await caller.ended).output, 'first');
  t.true(errors.length > 0);
  await watch.left(dir);
});

faultTest(fault('a handler never answers: other callers', ANSWERED), async (t, transport, watch) => {
  const { handlers, noticed } = noticing(
    sandbox(),
    (request) => request.op === 'read' && request.ino === inoOf('never'),
  );
  const { dir, path, mount: fs } = await mounted(t, handlers, { ...UNCACHED, transport });
  const waiting = cat(path('never'));
  await noticed;
  watch.begin();
  await watch.see(...Array.from({ length: 8 }, () => cat(path('file')).ended));
  t.is(fs.outstanding, 1);
  await watch.left(dir);
  await fs.destroy();
  await waiting.ended;
});

faultTest(fault('a handler keeps the event loop busy for 300 ms', ANSWERED), async (t, transport, watch) => {
  const busy: Handlers['open'] = () => {
    for (const end = Date.now() + 300; Date.now() < end; );
    return undefined;
  };
  const { dir, path } = await mounted(t, sandbox({ open: busy }), { ...UNCACHED, transport });
  watch.begin();
  await watch.see(cat(path('file')).ended, stat(path('file')).ended);
  await watch.left(dir);
});

faultTest(
  { ...fault('handlers answer after the end of the mount', ...ENDED), left: 'nothing' },
  async (t, transport, watch) => {
    const held: FuseRequest<unknown>[] = [];
    const settles: ((value: null) => void)[] = [];
    const handlers = sandbox({
      lookup: (request) => {
        held.push(request as FuseRequest<unknown>);
        return new Promise((resolve) => settles.push(resolve));
      },
    });
    const { dir, mount: fs, path, served } = await mounted(t, handlers, { ...UNCACHED, transport });
    const callers = [stat(path('one')), stat(path('two'))];
    while (held.length < callers.length) await sleep(5);
    watch.begin();
    await fs.destroy();
    await served;
    await watch.see(...callers.map(({ ended }) => ended));
    for (const request of held) {
      t.true(request.replied);
      t.is(request.signal.reason.code, 'ERR_RINGFUSE_CLOSED');
      t.throws(() => request.reply(null), { code: 'ERR_RINGFUSE_CLOSED' });
    }
    for (const settle of settles) settle(null);
    await watch.left(dir);
  },
);
