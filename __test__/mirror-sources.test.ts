import { execFile, execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { memory, mirror } from '@ringfuse/fs';
import test, { type ExecutionContext } from 'ava';
import { FuseError } from 'ringfuse';
import { directory, mirrored } from './support/mirrors.ts';
import { mounted } from './support/mounted.ts';
import { notRoot } from './support/mounting.ts';
import { mirrorServer } from './support/servers.ts';
import { systemCalls } from './support/system-calls.ts';
import { testUnless } from './support/transports.ts';

const run = promisify(execFile);

/** Mounts a filesystem by mount(8) until the test is over, on a directory of its own unless one is given. */
async function filesystem(
  t: ExecutionContext,
  type: string,
  { options = 'rw', dir, device = 'none' }: { options?: string; dir?: string; device?: string } = {},
): Promise<string> {
  const place = dir ?? (await directory(t));
  await mkdir(place, { recursive: true });
  await run('mount', ['-t', type, '-o', options, device, place]);
  t.teardown(() => run('umount', [place]).catch(() => run('umount', ['--lazy', place])));
  return place;
}

/** Why a type of filesystem cannot be mounted here; undefined if it can. */
function missing(type: string): string | undefined {
  if (notRoot !== undefined) return notRoot;
  try {
    execFileSync('modprobe', ['--quiet', type], { stdio: 'ignore' });
  } catch {
    // It may be built in.
  }
  const types = execFileSync('cat', ['/proc/filesystems'], { encoding: 'utf8' });
  return new RegExp(`\\t${type}$`, 'm').test(types) ? undefined : `this kernel has no ${type}`;
}

/** Makes an image of a filesystem in a file, for a loop device. */
async function image(t: ExecutionContext, type: string): Promise<string> {
  const file = join(await directory(t), 'image');
  await run('truncate', ['--size', '64M', file]);
  await run(`mkfs.${type}`, [file]);
  return file;
}

/** What a user may do with files and directories of all modes. */
const USER = `
if len(sys.argv) > 2:
    os.mkdir(at('public')); os.chmod(at('public'), 0o777)
    os.mkdir(at('private')); os.chmod(at('private'), 0o700)
    for name in ('readable', 'secret', 'private/secret'):
        with open(at(name), 'w') as file: file.write('contents')
    os.chmod(at('secret'), 0o600)
os.setgroups([]); os.setgid(1000); os.setuid(1000)
seen = [sorted(os.listdir(path))]
for name in ('readable', 'secret', 'private/secret'):
    seen.append(attempt(lambda: open(at(name)).read()))
    seen.append(attempt(os.truncate, at(name), 1))
seen.append(attempt(os.listdir, at('private')))
seen.append(attempt(lambda: open(at('public/new'), 'w').close()))
seen.append(attempt(os.chmod, at('public/new'), 0o640))
seen.append(attempt(os.unlink, at('public/new')))
seen.append(attempt(os.setxattr, at('readable'), 'user.a', b''))
say(seen)
`;

for (const type of ['ramfs', 'vfat', 'tmpfs', 'ext4', 'xfs', 'overlay'] as const) {
  testUnless(missing(type), `permissions on a mirror of ${type} are those of the source`, async (t) => {
    const options: { options?: string; device?: string } = {};
    if (type === 'vfat') Object.assign(options, { options: 'loop', device: await image(t, type) });
    if (type === 'ext4') Object.assign(options, { options: 'loop', device: await image(t, type) });
    if (type === 'xfs') {
      const file = join(await directory(t), 'image');
      await run('truncate', ['--size', '512M', file]);
      await run('mkfs.xfs', ['-q', file]);
      Object.assign(options, { options: 'loop', device: file });
    }
    if (type === 'overlay') {
      const layers = await filesystem(t, 'tmpfs');
      for (const name of ['lower', 'upper', 'work']) await mkdir(join(layers, name));
      options.options = `lowerdir=${layers}/lower,upperdir=${layers}/upper,workdir=${layers}/work`;
    }
    const source = await filesystem(t, type, options);
    await chmod(source, 0o755).catch(() => undefined);
    const expected = (await systemCalls(t, USER, source, 'prepare')) as unknown[];
    t.true(JSON.stringify(expected).includes('contents'));
    const { dir } = await mirrored(t, {}, {}, { source });
    t.deepEqual(await systemCalls(t, USER, dir), expected);
  });
}

/** Where filesystems of the kernel are on most machines, by their types. */
const KERNEL: Readonly<Record<string, readonly string[]>> = {
  proc: ['/proc', '/proc/self', '/proc/sys'],
  sysfs: ['/sys'],
  fusectl: ['/sys/fs/fuse/connections'],
};

for (const [type, places] of Object.entries(KERNEL)) {
  testUnless(notRoot, `${type} is no source of a mirror unless it is asked for`, (t) => {
    for (const place of places) {
      const error = t.throws<FuseError>(() => mirror(place), { instanceOf: FuseError, code: 'EACCES' });
      t.is(
        error?.message,
        `mirror: ${place} cannot be a source: its filesystem is ${type}, whose files give the server's rights ` +
          'to every user who may open them in the mirror; the option kernelFilesystems allows it',
      );
      mirror(place, { kernelFilesystems: true }).close();
    }
    return Promise.resolve();
  });
}

for (const type of ['proc', 'sysfs', 'tracefs', 'debugfs', 'cgroup2', 'bpf', 'mqueue']) {
  testUnless(
    missing(type),
    `${type} in the source of a mirror is EACCES unless it is asked for`,
    async (t) => {
      const source = await directory(t);
      await writeFile(join(source, 'file'), 'contents');
      await filesystem(t, type, { dir: join(source, 'inner') });
      const { dir } = await mirrored(t, {}, {}, { source });
      t.deepEqual((await readdir(dir)).sort(), ['file', 'inner']);
      t.is(await readFile(join(dir, 'file'), 'utf8'), 'contents');
      await t.throwsAsync(readdir(join(dir, 'inner')), { code: 'EACCES' });
      const asked = await mirrored(t, { kernelFilesystems: true }, {}, { source });
      await t.notThrowsAsync(readdir(join(asked.dir, 'inner')));
    },
  );
}

testUnless(missing('proc'), "users read nothing of root's processes through a mirror", async (t) => {
  const source = await directory(t);
  await filesystem(t, 'proc', { dir: join(source, 'proc') });
  const { dir } = await mirrored(t, { directIo: true, timeout: 0 }, {}, { source });
  const code = `
os.setgroups([]); os.setgid(1000); os.setuid(1000)
say([attempt(lambda: open(at(name)).read(100)) for name in ('proc/1/maps', 'proc/kallsyms', 'proc/version')])
`;
  t.deepEqual(await systemCalls(t, code, dir), ['EACCES', 'EACCES', 'EACCES']);
});

testUnless(missing('tmpfs'), 'what cannot be executed in the source cannot be in its mirror', async (t) => {
  const source = await filesystem(t, 'tmpfs', { options: 'noexec,nosuid,nodev' });
  await run('cp', ['/bin/true', join(source, 'program')]);
  // In a shell, as this process serves the mount and must not wait for execve(2).
  const execute = (program: string) => run('sh', ['-c', '"$1"', 'sh', program]);
  await t.throwsAsync(execute(join(source, 'program')), { message: /Permission denied/ });
  const { dir } = await mirrored(t, {}, {}, { source });
  await t.throwsAsync(execute(join(dir, 'program')), { message: /Permission denied/ });
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  t.regex(mounts, new RegExp(` ${dir} \\S*nosuid,nodev,noexec\\S* .* fuse.mirror ${source} `));
  const elsewhere = await mirrored(t);
  await run('cp', ['/bin/true', join(elsewhere.source, 'program')]);
  await t.notThrowsAsync(execute(join(elsewhere.dir, 'program')));
});

/** Runs a command on mounts that may wait for each other; `undefined` if it did not end in time. */
async function within(
  seconds: number,
  ...command: string[]
): Promise<{ status: number; stderr: string } | undefined> {
  const args = ['--kill-after', '1', `${seconds}`, ...command];
  return await new Promise((resolve) => {
    execFile('timeout', args, { env: { ...process.env, LC_ALL: 'C' } }, (error, _, stderr) => {
      const status = Number(error?.code ?? 0);
      resolve(status === 124 || status === 137 ? undefined : { status, stderr });
    });
  });
}

const DEADLOCK = /Resource deadlock avoided/;

testUnless(
  notRoot,
  'two mirrors of different processes in the source of each other end in EDEADLK',
  async (t) => {
    const source = await directory(t);
    for (const name of ['a', 'b']) await mkdir(join(source, name));
    await writeFile(join(source, 'file'), 'contents');
    await mirrorServer(t, 'root', { source, dir: join(source, 'a') });
    await mirrorServer(t, 'root', { source, dir: join(source, 'b') });
    for (const path of ['a/b', 'b/a', 'a/a', 'b/b', 'a/b/a']) {
      const ended = await within(20, 'ls', '-A', join(source, path));
      t.is(ended?.status, 2, path);
      t.regex(ended?.stderr ?? '', DEADLOCK, path);
    }
    t.is((await within(20, 'find', source, '-name', 'none'))?.status, 1);
    for (const name of ['a', 'b']) t.is(await readFile(join(source, name, 'file'), 'utf8'), 'contents');
  },
);

testUnless(notRoot, 'a circle of three mirrors ends in EDEADLK', async (t) => {
  const sources = [await directory(t), await directory(t), await directory(t)];
  for (const [index, source] of sources.entries()) {
    await mkdir(join(sources[(index + 1) % 3], 'next'));
    await mirrorServer(t, 'root', { source, dir: join(sources[(index + 1) % 3], 'next') });
  }
  for (const source of sources) {
    const ended = await within(20, 'ls', '-A', join(source, 'next/next/next/next'));
    t.is(ended?.status, 2);
    t.regex(ended?.stderr ?? '', DEADLOCK);
    t.is((await within(20, 'find', source, '-name', 'none'))?.status, 1);
  }
});

testUnless(missing('overlay'), 'an overlay of the mirror in its own source is EDEADLK', async (t) => {
  const source = await directory(t);
  for (const name of ['low', 'inner']) await mkdir(join(source, name));
  await writeFile(join(source, 'low/file'), 'contents');
  const { dir } = await mirrorServer(t, 'root', { source });
  const lowest = await directory(t);
  await filesystem(t, 'overlay', { options: `lowerdir=${dir}/low:${lowest}`, dir: join(source, 'inner') });
  const ended = await within(20, 'cat', join(dir, 'inner/file'));
  t.is(ended?.status, 1);
  t.regex(ended?.stderr ?? '', DEADLOCK);
  t.is(await readFile(join(source, 'inner/file'), 'utf8'), 'contents');
});

testUnless(notRoot, 'a mirror of a mirror that another process serves works', async (t) => {
  const first = await mirrorServer(t, 'root');
  await mkdir(join(first.source, 'dir'));
  await writeFile(join(first.source, 'dir/file'), 'contents');
  const second = await mirrorServer(t, 'root', { source: first.dir });
  t.is(await readFile(join(second.dir, 'dir/file'), 'utf8'), 'contents');
  await writeFile(join(second.dir, 'dir/new'), 'through both');
  t.is(await readFile(join(first.source, 'dir/new'), 'utf8'), 'through both');
  // In the source of a third one as well.
  const source = await directory(t);
  await mkdir(join(source, 'inner'));
  await mirrorServer(t, 'root', { source: second.dir, dir: join(source, 'inner') });
  const third = await mirrorServer(t, 'root', { source });
  t.is(await readFile(join(third.dir, 'inner/dir/file'), 'utf8'), 'contents');
});

test.serial('what this process serves is no source of a mirror, and EDEADLK in one', async (t) => {
  const source = await directory(t);
  await mkdir(join(source, 'memory'));
  const served = await mounted(t, memory({ files: { file: 'contents' } }));
  t.throws(() => mirror(served.dir), { code: 'EDEADLK', message: /this process serves/ });
  await run('mount', ['--bind', served.dir, join(source, 'memory')]);
  t.teardown(() => run('umount', [join(source, 'memory')]));
  const { dir } = await mirrored(t, {}, {}, { source });
  const ended = await within(20, 'ls', join(dir, 'memory'));
  t.regex(ended?.stderr ?? '', DEADLOCK);
  t.is(await readFile(served.path('file'), 'utf8'), 'contents');
});

const DIRECT = `
with open(at('file'), 'w') as file: file.write('contents')
def direct(name, flags):
    os.close(os.open(at(name), flags | os.O_DIRECT, 0o600))
say([attempt(direct, name, flags) for name, flags in (
    ('file', os.O_RDONLY), ('file', os.O_WRONLY), ('file', os.O_RDWR | os.O_APPEND), ('new', os.O_RDWR | os.O_CREAT))])
`;

for (const type of ['ramfs', 'tmpfs']) {
  for (const passthrough of [true, false]) {
    testUnless(
      missing(type),
      `open(2) with O_DIRECT in a mirror of ${type} is what it is there, passthrough: ${passthrough}`,
      async (t) => {
        const expected = await systemCalls(t, DIRECT, await filesystem(t, type));
        const { dir } = await mirrored(t, { passthrough }, {}, { source: await filesystem(t, type) });
        t.deepEqual(await systemCalls(t, DIRECT, dir), expected);
      },
    );
  }
}
