/** Bad input gets a clear error, and loses nothing. */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { FuseError, type FuseRequest, type Handlers, type MountOptions, mount } from 'ringfuse';
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
  ['queueDepth', 0, 1025, 1.5, '8', Object.create(null)],
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

test('what is wrong with workers is shown', async (t) => {
  const dir = await mountpoint(t);
  const refused = (workers: unknown, message: RegExp): Promise<void> =>
    refuses(t, dir, { workers }, 'ERR_RINGFUSE_OPTION', message);
  await refused(
    { module: './worker.js' },
    /option workers: .*absolute path or a URL, not .*'\.\/worker\.js'/,
  );
  await refused({ module: '/worker.js', data: () => 1 }, /option workers: .*without functions, not .*data/);
  await refused({ module: '/worker.js', data: { deep: [Symbol('x')] } }, /option workers: .*clone/);
  await refused({ module: '/worker.js', count: 0 }, /option workers: .*count/);
  t.false(await isMounted(dir));
});

test('an option of the native side is named as TypeScript names it', async (t) => {
  const dir = await mountpoint(t);
  const options = { capabilities: ['REQUEST_TIMEOUT'] };
  await refuses(t, dir, options, 'ERR_RINGFUSE_OPTION', /requestTimeout/);
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

test('what is no errno cannot be failed with', async (t) => {
  const handlers = sandbox({
    lookup: (request) => {
      for (const error of ['ENOSUCH' as 'ENOENT', 0, 100_000]) {
        t.throws(() => request.fail(error), { instanceOf: TypeError, message: /errno/ });
      }
      request.fail('ENOENT');
      return undefined as never;
    },
  });
  const { path } = await mounted(t, handlers, UNCACHED);
  t.is((await stat(path('file')).ended).code, 'ENOENT');
});
