/** Bad input gets a clear error, and loses nothing. */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { FuseError, type FuseRequest, type Handlers, type MountOptions, mount, serve } from 'ringfuse';
import { cat, stat } from './support/callers.ts';
import { mounted, mountpoint } from './support/mounted.ts';
import { isMounted, untilMounted } from './support/mounts.ts';
import { sandbox, UNCACHED } from './support/sandbox.ts';

const run = promisify(execFile);

async function refuses(
  t: ExecutionContext,
  dir: string,
  options: Record<string, unknown>,
  code: string,
  message: RegExp,
): Promise<void> {
  const error = await t.throwsAsync(mount(dir, options as MountOptions), { code, message });
  t.true(FuseError.is(error));
}

const wrongOptions: readonly (readonly [option: string, ...values: unknown[]])[] = [
  ['name', 7, '', 'a,b', 'x'.repeat(65)],
  ['transport', 'tcp', true],
  ['queueDepth', 0, 1025, 1.5, '8'],
  ['maxWrite', 0, 4095, 5000, (16 << 20) + 4096, '1M'],
  ['maxBackground', 0, 65536],
  ['maxStackDepth', 0, 3],
  ['requestTimeout', 0, 65536],
  ['entryTimeout', -1, Number.NaN, '1'],
  ['attrTimeout', -1, null],
  ['directIo', 1],
  ['allowOther', 'yes'],
  ['defaultPermissions', 0],
  ['readOnly', 'ro'],
  ['capabilities', 'POSIX_ACL', ['NO_SUCH'], [7]],
  ['handleSignals', 'SIGINT'],
  ['signal', {}],
  ['onError', 'ignore'],
];

test('an option of the wrong type or out of its range is named', async (t) => {
  const dir = await mountpoint(t);
  for (const [option, ...values] of wrongOptions) {
    for (const value of values) {
      await refuses(t, dir, { [option]: value }, 'ERR_RINGFUSE_OPTION', new RegExp(`option ${option}: .+`));
    }
  }
  t.false(await isMounted(dir));
});

test('an option that does not exist is named, with those that do', async (t) => {
  const dir = await mountpoint(t);
  await refuses(t, dir, { queuedepth: 8 }, 'ERR_RINGFUSE_OPTION', /queuedepth.*no such option.*queueDepth/);
});

test('a path that is no directory is refused', async (t) => {
  const dir = await mountpoint(t);
  const file = join(dir, 'file');
  await writeFile(file, '');
  t.teardown(() => rm(file, { force: true }));
  await refuses(t, join(dir, 'missing'), {}, 'ERR_RINGFUSE_MOUNTPOINT', /does not exist: make the directory/);
  await refuses(t, file, {}, 'ERR_RINGFUSE_MOUNTPOINT', /not a directory/);
  await refuses(t, '', {}, 'ERR_RINGFUSE_OPTION', /path/);
  await rm(file);
});

test('a mountpoint that is in use is refused, also by the process that serves it', async (t) => {
  const { dir, path } = await mounted(t, sandbox());
  await refuses(t, dir, {}, 'ERR_RINGFUSE_MOUNTPOINT_BUSY', /mounted there already.*umount/s);
  t.is((await cat(path('file')).ended).code, undefined);
});

test('a mountpoint whose server died is recognised', async (t) => {
  const dir = await mountpoint(t);
  const child = spawn(process.execPath, ['packages/cli/bin/ringfuse.js', 'mount', 'memory', dir]);
  const exited = once(child, 'exit');
  await untilMounted(dir);
  child.kill('SIGKILL');
  await exited;
  t.teardown(() => run('umount', ['-l', dir]).catch(() => undefined));
  await refuses(t, dir, {}, 'ERR_RINGFUSE_STALE_MOUNT', /Transport endpoint.*umount -l/s);
  await run('umount', ['-l', dir]);
  await (await mount(dir)).destroy();
  t.false(await isMounted(dir));
});

/** The operation by a system call of each kind, and replies that are none for it, with the field that is named. */
const wrongReplies: readonly (readonly [op: keyof Handlers, reply: unknown, message: RegExp])[] = [
  ['lookup', { attr: { mode: 0 } }, /ino/],
  ['lookup', { ino: -1, attr: { mode: 0 } }, /ino/],
  ['lookup', { ino: 2 }, /attr/],
  ['lookup', { ino: 2, attr: {} }, /attr\.mode/],
  ['lookup', { ino: 2, attr: { mode: 0o100644, size: -1 } }, /attr\.size/],
  ['lookup', { ino: 2, attr: { mode: 0o100644 }, entryTimeout: -1 }, /entryTimeout/],
  ['getattr', undefined, /attr/],
  ['getattr', { attr: { mode: 0o100644, mtime: { sec: 0, nsec: 1e9 } } }, /attr\.mtime/],
  ['open', { fh: 'a' }, /fh/],
  ['open', { openFlags: -1 }, /openFlags/],
  ['read', 'text', /Uint8Array/],
  ['read', 1e9, /number of bytes/],
];

for (const [op, reply, message] of wrongReplies) {
  test(`a reply to ${op} that is ${JSON.stringify(reply)} is a TypeError, and the request is still owed`, async (t) => {
    let seen: unknown;
    const handlers = sandbox({
      [op]: (request: FuseRequest<unknown>) => {
        try {
          request.reply(reply);
        } catch (error) {
          seen = error;
          t.false(request.replied);
          request.fail('EIO');
        }
      },
    });
    const { path } = await mounted(t, handlers, UNCACHED);
    t.is((await cat(path('file')).ended).code, 'EIO');
    t.true(seen instanceof TypeError);
    t.regex(String(seen), message);
  });
}

test('a second reply is an error, and the first one counts', async (t) => {
  const errors: unknown[] = [];
  const handlers = sandbox({
    read: (request) => {
      request.reply(Buffer.from(request.offset === 0 ? 'first' : ''));
      for (const again of [
        () => request.reply(Buffer.from('second')),
        () => request.fail('EIO'),
        () => request.buffer,
      ]) {
        errors.push(t.throws(again));
      }
      return undefined as never;
    },
  });
  const { path } = await mounted(t, handlers, UNCACHED);
  t.is((await cat(path('file')).ended).output, 'first');
  t.true(errors.length >= 3);
  for (const error of errors) t.is((error as FuseError).code, 'ERR_RINGFUSE_REPLIED');
});

test('a handler that throws an errno gives it to the caller; anything else is EIO, and reported', async (t) => {
  const reported: unknown[] = [];
  const failures: Record<string, () => unknown> = {
    thrown: () => {
      throw new FuseError('ENOENT');
    },
    rejected: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTCONN' })),
    bug: () => {
      throw new Error('a bug');
    },
    'rejected bug': () => Promise.reject(new Error('a bug too')),
    'wrong promise': () => Promise.resolve({ ino: 'x' }),
  };
  const handlers: Handlers = sandbox({ lookup: ({ name }) => failures[name]() as never });
  const { path } = await mounted(t, handlers, { ...UNCACHED, onError: (error) => reported.push(error) });
  const code = async (name: string) => (await stat(path(name)).ended).code;
  t.is(await code('thrown'), 'ENOENT');
  t.is(await code('rejected'), 'ENOTCONN');
  t.is(reported.length, 0);
  for (const name of ['bug', 'rejected bug', 'wrong promise']) t.is(await code(name), 'EIO');
  t.deepEqual(
    reported.map((error) => (error as Error).constructor.name),
    ['Error', 'Error', 'TypeError'],
  );
});

test('what is no errno cannot be failed with', async (t) => {
  const handlers = sandbox({
    lookup: (request) => {
      for (const error of ['ENOSUCH', 0, 100_000]) {
        t.throws(() => request.fail(error), { instanceOf: TypeError, message: /errno/ });
      }
      request.fail('ENOENT');
      return undefined as never;
    },
  });
  const { path } = await mounted(t, handlers, UNCACHED);
  t.is((await stat(path('file')).ended).code, 'ENOENT');
});

test('a reply after the end is an error that says so, and a promise that settles late is silent', async (t) => {
  const dir = await mountpoint(t);
  await mkdir(dir, { recursive: true });
  const fs = await mount(dir, UNCACHED);
  const held: FuseRequest<unknown>[] = [];
  let settle!: (value: null) => void;
  let noticed!: () => void;
  const all = new Promise<void>((resolve) => {
    noticed = resolve;
  });
  const served = serve(
    fs,
    sandbox({
      lookup: (request) => {
        if (held.push(request as FuseRequest<unknown>) === 2) noticed();
        return new Promise((resolve) => {
          settle = resolve;
        });
      },
    }),
  );
  const callers = [stat(join(dir, 'one')), stat(join(dir, 'two'))];
  await all;
  await fs.destroy();
  await served;
  for (const { ended } of callers) t.true(['ECONNABORTED', 'ENOTCONN'].includes((await ended).code ?? ''));
  for (const request of held) {
    t.true(request.replied);
    t.is(request.signal.reason.code, 'ERR_RINGFUSE_CLOSED');
    t.throws(() => request.reply(null), { code: 'ERR_RINGFUSE_CLOSED' });
  }
  settle(null);
  await new Promise((resolve) => setImmediate(resolve));
});
