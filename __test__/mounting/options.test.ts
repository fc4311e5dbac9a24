import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { memory, memoryMountOptions } from '@ringfuse/fs';
import test, { type ExecutionContext } from 'ava';
import { type MountOptions, mount } from 'ringfuse';
import { mounted, mountpoint } from '../support/mounted.ts';
import { MOUNTER, Mounter, type MountLine, notRoot } from '../support/mounting.ts';
import { noPython } from '../support/python.ts';
import { attributesOf, NODES, recording } from '../support/recorder.ts';
import { systemCalls } from '../support/system-calls.ts';
import { testUnless, transport } from '../support/transports.ts';

const run = promisify(execFile);

const USER = ['--reuid', '66', '--regid', '66', '--clear-groups'];

async function mountLine(t: ExecutionContext, options: MountOptions): Promise<MountLine> {
  const dir = await mountpoint(t);
  const mounter = new Mounter(t, process.execPath, MOUNTER, dir, JSON.stringify(options));
  const { mounts } = await mounter.next();
  await mounter.ask('close');
  t.is(mounts.length, 1);
  return mounts[0];
}

testUnless(notRoot, 'a mount is nosuid and nodev, and has its name as type and source', async (t) => {
  const { type, source, options } = await mountLine(t, {});
  t.deepEqual([type, source], ['fuse.ringfuse', 'ringfuse']);
  for (const word of ['rw', 'nosuid', 'nodev', 'relatime']) t.true(options.includes(word), word);
  for (const word of ['noexec', 'sync', 'dirsync', 'lazytime', 'nosymfollow', 'allow_other'])
    t.false(options.includes(word), word);
});

testUnless(notRoot, 'fsname and subtype take the place of the name in source and type', async (t) => {
  t.like(await mountLine(t, { name: 'n' }), { type: 'fuse.n', source: 'n' });
  t.like(await mountLine(t, { name: 'n', subtype: 's' }), { type: 'fuse.s', source: 'n' });
  t.like(await mountLine(t, { name: 'n', fsname: 'me@host:/a,b' }), {
    type: 'fuse.n',
    source: 'me@host:/a,b',
  });
});

/** Option → the word that /proc/self/mountinfo has then; with a `!`, that it has not. */
const words: readonly (readonly [options: MountOptions, word: string])[] = [
  [{ readOnly: true }, 'ro'],
  [{ suid: true }, '!nosuid'],
  [{ dev: true }, '!nodev'],
  [{ exec: false }, 'noexec'],
  [{ symfollow: false }, 'nosymfollow'],
  [{ atime: 'noatime' }, 'noatime'],
  [{ atime: 'strictatime' }, '!relatime'],
  [{ diratime: false }, 'nodiratime'],
  [{ lazytime: true }, 'lazytime'],
  [{ sync: true }, 'sync'],
  [{ dirsync: true }, 'dirsync'],
  [{ allowOther: true }, 'allow_other'],
  [{ defaultPermissions: true }, 'default_permissions'],
];

testUnless(notRoot, "each mount flag becomes the kernel's", async (t) => {
  for (const [options, expected] of words) {
    const word = expected.replace('!', '');
    const line = await mountLine(t, options);
    t.is(line.options.includes(word), word === expected, JSON.stringify(options));
  }
});

testUnless(
  notRoot ?? noPython,
  'exec: false refuses to execute, symfollow: false to follow links',
  async (t) => {
    const executable = { mode: 0o100755, size: 4 };
    const { dir } = await recording(
      t,
      transport,
      { getattr: ({ ino }) => ({ attr: ino === NODES.file ? executable : attributesOf(ino) }) },
      { exec: false, symfollow: false },
    );
    const code = `say([attempt(os.execv, at('file'), ['x']), attempt(os.open, at('link'), os.O_RDONLY)])`;
    t.deepEqual(await systemCalls(t, code, dir), ['EACCES', 'ELOOP']);
  },
);

testUnless(notRoot, 'with suid, a set-user-ID program runs as its owner', async (t) => {
  for (const suid of [false, true]) {
    const { path } = await mounted(t, memory(), { ...memoryMountOptions, allowOther: true, suid });
    await run('cp', ['/usr/bin/id', path('id')]);
    await run('chmod', ['4755', path('id')]);
    const { stdout } = await run('setpriv', [...USER, path('id'), '-u']);
    t.is(stdout.trim(), suid ? '0' : '66');
  }
});

testUnless(notRoot, 'with dev, a device file is a device', async (t) => {
  for (const dev of [false, true]) {
    const { path } = await mounted(t, memory(), { ...memoryMountOptions, dev });
    await run('mknod', [path('zero'), 'c', '1', '5']);
    const read = run('head', ['-c', '4', path('zero')], { encoding: 'latin1' });
    if (dev) t.is((await read).stdout, '\0\0\0\0');
    else await t.throwsAsync(read, { message: /Permission denied/ });
  }
});

testUnless(notRoot, 'with sync, every write is followed by an fsync', async (t) => {
  for (const sync of [false, true]) {
    const { path, of } = await recording(t, transport, {}, { sync });
    await run('dd', [`of=${path('file')}`, 'if=/dev/zero', 'bs=1', 'count=3', 'conv=notrunc']);
    t.is(of('write').length, 3);
    t.is(of('fsync').length, sync ? 3 : 0);
  }
});

/** Options that cannot be, by name. */
const wrong: readonly (readonly [option: string, value: unknown])[] = [
  ['suid', 1],
  ['exec', 'yes'],
  ['atime', 'never'],
  ['atime', true],
  ['fsname', 5],
  ['fsname', 'a\nb'],
  ['fsname', ''],
  ['subtype', 'a b'],
  ['name', ''],
  ['autoUnmount', 'yes'],
  ['replaceStale', null],
  ['agreement', {}],
  ['agreement', { minor: 45, capabilities: [], maxWrite: 4096, maxPages: 1 }],
  ['mand', true],
  ['noexec', true],
];

test('an option of the wrong type, out of its range, or that there is not, is refused by its name', async (t) => {
  const dir = await mountpoint(t);
  for (const [option, value] of wrong) {
    const error = await t.throwsAsync(mount(dir, { [option]: value }), {
      code: 'ERR_RINGFUSE_OPTION',
      message: new RegExp(`option ${option}: `),
    });
    t.is((error as NodeJS.ErrnoException).errno, -22, option);
  }
});

test('what could only be refused by the native side is told by the name that TypeScript has for it', async (t) => {
  const wanted = mount(await mountpoint(t), { capabilities: ['REQUEST_TIMEOUT'] });
  await t.throwsAsync(wanted, { code: 'ERR_RINGFUSE_OPTION', message: /option requestTimeout: / });
});
