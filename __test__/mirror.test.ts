import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type MirrorOptions, mirror } from '@ringfuse/fs';
import test from 'ava';
import { mount, serve } from 'ringfuse';
import { descriptors, directory, mirrored } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { programTest } from './support/programs.ts';
import { systemCalls } from './support/system-calls.ts';
import { transport } from './support/transports.ts';

const run = promisify(execFile);
const { EDEADLK } = constants.errno;

/** Each way to hold nodes and to move contents. */
const ways: Readonly<Record<string, MirrorOptions>> = {
  'with passthrough': {},
  'without passthrough': { passthrough: false },
  'with file handles': { descriptors: 0 },
  'with write-back cache': { writeback: true },
  'with nothing cached': { directIo: true, timeout: 0 },
};

/** A program of system calls that says what each of them did, the same on every filesystem of this kind. */
const CALLS = `
def attributes(name, follow=False):
    s = os.stat(at(name), follow_symlinks=follow)
    return [oct(s.st_mode), s.st_nlink, s.st_uid, s.st_gid, s.st_size if not stat.S_ISDIR(s.st_mode) else 0, s.st_rdev]
def renameat2(old, new, flags):
    return call(316, -100, at(old).encode(), -100, at(new).encode(), flags)
def fallocate(fd, mode, offset, length):
    return call(285, fd, mode, ctypes.c_long(offset), ctypes.c_long(length))
seen = []
def see(function, *args, **named):
    seen.append(attempt(function, *args, **named))
os.umask(0o027)
see(os.mkdir, at('dir'), 0o2777)
see(lambda: attributes('dir'))
fd = os.open(at('file'), os.O_CREAT | os.O_RDWR, 0o6777)
see(lambda: attributes('file'))
see(os.pwrite, fd, b'x' * 10000, 5000)
see(lambda: attributes('file'))
if sys.argv[2] == 'holes':
    see(os.lseek, fd, 0, os.SEEK_DATA)
    see(os.lseek, fd, 5000, os.SEEK_HOLE)
else:
    see(os.lseek, fd, 6000, os.SEEK_DATA)
    see(os.lseek, fd, 6000, os.SEEK_HOLE)
see(os.pread, fd, 10, 14995)
see(fallocate, fd, 0, 0, 65536)
see(lambda: attributes('file'))
see(fallocate, fd, 3, 4096, 4096)
see(os.pread, fd, 3, 5000)
see(fallocate, fd, 0x40000000, 0, 1)
see(os.ftruncate, fd, 100)
see(os.truncate, at('file'), 50)
see(lambda: attributes('file'))
see(os.copy_file_range, fd, fd, 10, 0, 1000)
see(os.fsync, fd)
see(os.fdatasync, fd)
see(os.link, at('file'), at('dir/link'))
see(os.symlink, 'file', at('symlink'))
see(lambda: attributes('symlink'))
see(os.readlink, at('symlink'))
see(os.chown, at('symlink'), 5, 6, follow_symlinks=False)
see(lambda: attributes('symlink'))
see(os.link, at('symlink'), at('linked'), follow_symlinks=False)
see(lambda: attributes('linked'))
see(os.mknod, at('device'), stat.S_IFCHR | 0o666, os.makedev(1, 3))
see(lambda: attributes('device'))
see(os.mknod, at('big device'), stat.S_IFBLK | 0o600, os.makedev(300, 70000))
see(lambda: attributes('big device'))
see(os.mkfifo, at('fifo'))
see(lambda: attributes('fifo'))
see(renameat2, 'file', 'dir', 1)
see(renameat2, 'file', 'dir', 2)
see(lambda: attributes('dir'))
see(renameat2, 'file', 'dir', 2)
see(renameat2, 'fifo', 'whited', 4)
see(lambda: attributes('fifo'))
see(os.rename, at('file'), at('dir'))
see(os.rename, at('dir'), at('dir/under'))
see(os.rmdir, at('dir'))
see(os.unlink, at('dir'))
see(os.setxattr, at('file'), 'user.a', b'value')
see(os.setxattr, at('file'), 'user.a', b'other', os.XATTR_CREATE)
see(os.setxattr, at('file'), 'trusted.b', b'\\x00\\xff')
see(os.getxattr, at('file'), 'user.a')
see(os.getxattr, at('file'), 'user.none')
see(lambda: sorted(os.listxattr(at('file'))))
see(os.setxattr, at('symlink'), 'trusted.c', b'of the link', follow_symlinks=False)
see(os.getxattr, at('symlink'), 'trusted.c', follow_symlinks=False)
see(os.removexattr, at('file'), 'user.a')
see(os.removexattr, at('file'), 'user.a')
see(os.setxattr, at('file'), 'nonsense', b'')
see(os.utime, at('symlink'), ns=(-1, 2**33 * 10**9 + 1), follow_symlinks=False)
see(lambda: [os.lstat(at('symlink')).st_atime_ns, os.lstat(at('symlink')).st_mtime_ns])
see(os.chmod, at('file'), 0o7755)
see(lambda: attributes('file'))
see(os.chown, at('file'), 7, -1)
see(lambda: attributes('file'))
temporary = os.open(path, os.O_TMPFILE | os.O_RDWR, 0o666)
see(os.write, temporary, b'no name')
see(os.link, '/proc/self/fd/%d' % temporary, at('named'), follow_symlinks=True)
see(lambda: attributes('named'))
see(os.unlink, at('named'))
see(os.pread, temporary, 100, 0)
see(lambda: os.fstat(temporary).st_nlink)
see(os.open, at('dir'), os.O_WRONLY)
see(os.open, at('symlink'), os.O_RDONLY | os.O_NOFOLLOW)
see(os.open, at('none'), os.O_RDONLY)
see(os.open, at('n' * 256), os.O_RDONLY | os.O_CREAT)
append = os.open(at('append'), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
see(os.write, append, b'one')
see(os.pwrite, append, b'two', 0)
see(os.stat(at('append')).__getattribute__, 'st_size')
flags = ctypes.create_string_buffer(8)
see(call, 16, os.open(at('file'), os.O_RDONLY), 0x80086601, ctypes.byref(flags))
see(lambda: flags.raw[:4])
holder = os.open(at('file'), os.O_RDWR)
see(fcntl.flock, holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
see(fcntl.flock, os.open(at('file'), os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
for n in range(500): os.close(os.open(at('dir/%d' % n), os.O_CREAT | os.O_WRONLY))
see(lambda: sorted(os.listdir(at('dir'))))
see(lambda: [getattr(os.statvfs(path), field) for field in ('f_bsize', 'f_frsize', 'f_blocks', 'f_namemax')])
say(seen)
`;

/** Writes to programs with privileges, by another user. */
const REWRITES = `
def fresh(name):
    fd = os.open(at(name), os.O_CREAT | os.O_RDWR); os.write(fd, b'program'); os.close(fd)
    os.setxattr(at(name), 'security.capability', bytes.fromhex('0100000200040000000000000000000000000000'))
    os.chmod(at(name), 0o6777)
    return at(name)
def user(function, *args):
    if (child := os.fork()) == 0:
        os.setgroups([]); os.setgid(1001); os.setuid(1001)
        try: function(*args)
        finally: os._exit(0)
    os.waitpid(child, 0)
def rewrite(name):
    fd = os.open(name, os.O_RDWR); os.pwrite(fd, b'P', 0); os.close(fd)
actions = {
    'write': rewrite,
    'truncate': lambda name: os.truncate(name, 3),
    'open O_TRUNC': lambda name: os.close(os.open(name, os.O_WRONLY | os.O_TRUNC)),
}
seen = []
for title, action in actions.items():
    name = fresh(title)
    user(action, name)
    seen.append([title, oct(os.stat(name).st_mode), attempt(os.getxattr, name, 'security.capability')])
say(seen)
`;

for (const [way, options] of Object.entries(ways)) {
  programTest(`system calls on a mirror do what they do on the directory, ${way}`, ['python3'], async (t) => {
    const { dir } = await mirrored(t, options);
    const beneath = await directory(t);
    // With a write-back cache, where the holes are is not told.
    const holes = options.writeback ? 'no holes' : 'holes';
    const expected = await systemCalls(t, CALLS, beneath, holes);
    t.true((expected as unknown[]).length > 60);
    t.deepEqual(await systemCalls(t, CALLS, dir, holes), expected);
  });

  programTest(
    `a mirror shows what is beneath, and beneath is what the mirror made, ${way}`,
    ['python3'],
    async (t) => {
      const { source, dir } = await mirrored(t, { ...options, timeout: 0 });
      await run('sh', [
        '-euc',
        `cd "$1"; mkdir -p a/b; echo text > a/file; ln a/file a/b/link; ln -s ../a/file a/soft; mkfifo a/fifo
       mknod a/null c 1 3; truncate -s 5G a/sparse; chmod 4750 a/file; touch -d '1999-12-31 23:59:59.123456789' a/b`,
        'sh',
        source,
      ]);
      const list = async (tree: string): Promise<string> =>
        (
          await run('sh', [
            '-euc',
            `cd "$1"; find . -exec stat -c '%n %F %a %u:%g %h %i %s %b %t,%T %x %y %z %w' {} + | sort`,
            'sh',
            tree,
          ])
        ).stdout;
      const expected = await list(source);
      t.is(await list(dir), expected);
      await run('sh', [
        '-euc',
        'cd "$1"; mkdir made; echo more >> a/file; echo new > made/new; rm a/fifo',
        'sh',
        dir,
      ]);
      t.is(await readFile(join(source, 'made/new'), 'utf8'), 'new\n');
      t.is(await readFile(join(source, 'a/b/link'), 'utf8'), 'text\nmore\n');
      await t.throwsAsync(stat(join(source, 'a/fifo')), { code: 'ENOENT' });
    },
  );

  programTest(
    `what users make on a mirror is theirs, with their umask or the directory's ACL, ${way}`,
    ['python3'],
    async (t) => {
      const { source, dir } = await mirrored(t, options);
      const code = `
os.mkdir(at('open')); os.chmod(at('open'), 0o777)
os.mkdir(at('group')); os.chown(at('group'), 0, 3000); os.chmod(at('group'), 0o2775)
os.mkdir(at('acl')); os.chmod(at('acl'), 0o777)
def acl(*entries): return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in entries)
NONE = 0xffffffff
os.setxattr(at('acl'), 'system.posix_acl_default',
            acl((1, 7, NONE), (2, 7, 1002), (4, 7, NONE), (16, 7, NONE), (32, 0, NONE)))
os.mkdir(at('private')); os.chmod(at('private'), 0o700)
open(at('private/secret'), 'w').close()
open(at('listed'), 'w').write('for one'); os.chmod(at('listed'), 0o600)
os.setxattr(at('listed'), 'system.posix_acl_access',
            acl((1, 6, NONE), (2, 4, 1001), (4, 0, NONE), (16, 4, NONE), (32, 0, NONE)))
def shown(name):
    s = os.lstat(at(name))
    return [oct(s.st_mode), s.st_uid, s.st_gid]
def as_user(uid, groups, umask):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setgroups(groups); os.setgid(1000 + uid); os.setuid(uid); os.umask(umask)
        made = []
        for place in ('open', 'group', 'acl', 'private'):
            name = '%s/%d' % (place, uid)
            made.append(attempt(lambda: os.close(os.open(at(name), os.O_CREAT | os.O_WRONLY, 0o666))))
            made.append(attempt(os.mkdir, at(name + 'd'), 0o777))
            # The kernel knows that there is none: it asks for nothing but the link, some time after.
            attempt(os.lstat, at(name + 's')); time.sleep(0.02)
            made.append(attempt(os.symlink, 'x', at(name + 's')))
            made.append(attempt(os.mkfifo, at(name + 'f'), 0o666))
        made.append(attempt(lambda: open(at('listed')).read()))
        made.append(attempt(lambda: open(at('private/secret')).read()))
        made.append(attempt(os.mknod, at('open/dev'), stat.S_IFCHR | 0o666, 259))
        os.write(writer, json.dumps(made).encode()); os._exit(0)
    os.close(writer)
    return json.loads(os.fdopen(reader).read())
seen = [as_user(1001, [3000], 0o002), as_user(1002, [], 0o077)]
for place in ('open', 'group', 'acl'):
    seen.append([[name, shown(place + '/' + name)] for name in sorted(os.listdir(at(place)))])
seen.append([attempt(os.getxattr, at('acl/1001'), 'system.posix_acl_access'), attempt(os.listxattr, at('acl/1001d'))])
say(seen)
`;
      const beneath = await directory(t);
      t.deepEqual(await systemCalls(t, code, dir), await systemCalls(t, code, beneath));
      t.like(await stat(join(source, 'open/1001')), { uid: 1001, gid: 2001 });
    },
  );

  programTest(`writes by others take privileges away on a mirror, ${way}`, ['python3'], async (t) => {
    const { dir } = await mirrored(t, options);
    t.deepEqual(await systemCalls(t, REWRITES, dir), await systemCalls(t, REWRITES, await directory(t)));
  });
}

programTest(
  'opens that truncate take privileges away on a mirror that is told of them (ATOMIC_O_TRUNC)',
  ['python3'],
  async (t) => {
    const { dir } = await mirrored(t, {}, { capabilities: ['ATOMIC_O_TRUNC'] });
    t.deepEqual(await systemCalls(t, REWRITES, dir), await systemCalls(t, REWRITES, await directory(t)));
  },
);

/** Whatever tries to change a program that runs. */
const CHANGES = `
import shutil, subprocess
program = at('program')
shutil.copy('/bin/sleep', program)
child = subprocess.Popen([program, '60'])
seen = [attempt(os.open, program, flags) for flags in
    (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_TRUNC | os.O_CREAT)]
seen.append(attempt(os.truncate, program, 1))
seen.append(child.poll())
child.kill(); child.wait()
say(seen)
`;

for (const [way, options] of Object.entries(ways)) {
  programTest(`a program that runs from a mirror stays as it is, ${way}`, ['python3'], async (t) => {
    const { dir, source } = await mirrored(t, options);
    t.deepEqual(await systemCalls(t, CHANGES, dir), await systemCalls(t, CHANGES, await directory(t)));
    t.deepEqual(await readFile(join(source, 'program')), await readFile('/bin/sleep'));
  });
}

test.serial('with passthrough the kernel reads and writes itself, without it asks', async (t) => {
  const touch = async (options: MirrorOptions): Promise<ReadonlyMap<string, number>> => {
    const { dir, counts } = await mirrored(t, options);
    await writeFile(join(dir, 'file'), 'contents');
    const file = await open(join(dir, 'file'), 'r+');
    const other = await open(join(dir, 'file'));
    await file.write('C', 0);
    t.is(await other.readFile('utf8'), 'Contents');
    await Promise.all([file.close(), other.close()]);
    return counts;
  };
  const passed = await touch({});
  t.deepEqual([passed.get('read'), passed.get('write')], [undefined, undefined]);
  const asked = await touch({ passthrough: false });
  t.true((asked.get('read') ?? 0) > 0 && (asked.get('write') ?? 0) > 0);
});

/** What a program may do with a file that it reads, and that was open before: by its name, and when it has none. */
const READS = `
kept = os.open(at('file'), os.O_CREAT | os.O_RDWR, 0o666)
os.pwrite(kept, b'contents', 100000)
os.close(kept)
copy = os.open(at('copy'), os.O_CREAT | os.O_RDWR, 0o666)
flags = ctypes.create_string_buffer(8)
seen = []
def see(function, *args, **named):
    seen.append(attempt(function, *args, **named))
def reads(fd):
    see(os.pread, fd, 8, 100000)
    see(os.lseek, fd, 1, os.SEEK_DATA)
    see(os.lseek, fd, 100000, os.SEEK_HOLE)
    see(os.copy_file_range, fd, copy, 8, 100000, 0)
    see(os.pread, copy, 8, 0)
    see(os.fsync, fd)
    see(os.fdatasync, fd)
    see(call, 16, fd, 0x80086601, ctypes.byref(flags))
    see(lambda: flags.raw[:4])
    see(os.write, fd, b'x')
    see(os.ftruncate, fd, 1)
for other in (os.O_RDONLY, os.O_RDWR):
    one, two = os.open(at('file'), os.O_RDONLY), os.open(at('file'), other)
    reads(one)
    os.close(two)
    os.close(one)
one = os.open(at('file'), os.O_RDONLY)
os.rename(at('copy'), at('file'))
reads(one)
os.close(one)
os.unlink(at('file'))
say(seen)
`;

for (const [way, options] of Object.entries(ways)) {
  test.serial(
    `a file that is open for reading alone can do all that it can on the directory, ${way}`,
    async (t) => {
      const { dir } = await mirrored(t, options);
      // The write-back cache knows of no holes.
      const code = options.writeback ? READS.replaceAll(/^.*SEEK_.*\n/gm, '') : READS;
      t.deepEqual(await systemCalls(t, code, dir), await systemCalls(t, code, await directory(t)));
    },
  );
}

test.serial('a mirror of the directory that it is mounted on shows what is there', async (t) => {
  const dir = await directory(t);
  await mkdir(join(dir, 'inner'));
  await writeFile(join(dir, 'inner/file'), 'beneath');
  const { mount: fs } = await mirrored(t, {}, {}, { source: dir, dir });
  t.is(await readFile(join(dir, 'inner/file'), 'utf8'), 'beneath');
  await writeFile(join(dir, 'new'), 'through');
  await fs.close();
  t.is(await readFile(join(dir, 'new'), 'utf8'), 'through');
});

test.serial('a mirror that is mounted inside of its source says EDEADLK there, and lists it', async (t) => {
  const source = await directory(t);
  await mkdir(join(source, 'here/deep'), { recursive: true });
  await writeFile(join(source, 'file'), 'contents');
  const dir = join(source, 'here');
  await mirrored(t, {}, {}, { source, dir });
  t.deepEqual((await readdir(dir)).sort(), ['file', 'here']);
  t.is(await readFile(join(dir, 'file'), 'utf8'), 'contents');
  for (const path of ['here', 'here/file']) {
    const error = await t.throwsAsync<NodeJS.ErrnoException>(stat(join(dir, path)));
    t.is(error.errno, -EDEADLK);
  }
  const { stdout } = await run('ls', ['-A', dir]);
  t.is(stdout, 'file\nhere\n');
});

for (const [way, options] of Object.entries({ 'with descriptors': {}, 'with handles': { descriptors: 0 } })) {
  test.serial(`no descriptor is left of a mirror, however it ends, ${way}`, async (t) => {
    const source = await directory(t);
    const dir = await mountpoint(t);
    const before = await descriptors();
    for (const end of ['close', 'destroy'] as const) {
      const it = mirror(source, options);
      const fs = await mount(dir, { ...it.mountOptions, transport });
      const served = serve(fs, it.handlers(fs));
      await run('sh', [
        '-euc',
        'cd "$1"; mkdir -p a/b; for n in $(seq 50); do echo $n > a/b/$n; done; cat a/b/*; rm -r a',
        'sh',
        dir,
      ]);
      await writeFile(join(source, 'held'), '');
      const holder = spawn('tail', ['--follow', '--bytes=0', join(dir, 'held')], { stdio: 'ignore' });
      await run('stat', ['-f', dir]);
      if (end === 'close') {
        holder.kill();
        await once(holder, 'close');
      }
      await fs[end]();
      await served;
      holder.kill();
      t.deepEqual(await descriptors(), before, end);
      t.is(it.nodes, 0);
    }
  });

  test.serial(
    `a directory that becomes a symbolic link leads nobody out of the mirror, ${way}`,
    async (t) => {
      const outside = await directory(t);
      await writeFile(join(outside, 'file'), 'secret');
      const source = await directory(t);
      await mkdir(join(source, 'dir'));
      await writeFile(join(source, 'dir/file'), 'mine');
      await symlink(outside, join(source, 'link'));
      const { dir } = await mirrored(t, { ...options, timeout: 0 }, {}, { source });
      // Beneath the mirror, so that what its kernel knows is never true for long.
      const swap = `
import os, sys, ctypes
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None)
print('swapping', flush=True)
while True: libc.syscall(316, -100, b'dir', -100, b'link', 2)
`;
      const swapper = spawn('python3', ['-u', '-c', swap, source], { stdio: ['ignore', 'pipe', 'inherit'] });
      t.teardown(() => swapper.kill());
      await once(swapper.stdout, 'data');
      const read = `
import os, sys, time
os.chdir(sys.argv[1])
seen = {}
root = os.open('.', os.O_RDONLY)
end = time.time() + 2
while time.time() < end:
    try:
        # No step of it follows a link: what it reads can only be of the mirror.
        dir = os.open('dir', os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
        file = os.open('file', os.O_RDWR | os.O_NOFOLLOW, dir_fd=dir)
        result = os.read(file, 100).decode()
        os.close(file)
    except OSError as error:
        result = error.strerror
    finally:
        try: os.close(dir)
        except Exception: pass
    seen[result] = seen.get(result, 0) + 1
print(sorted(seen))
`;
      const { stdout } = await run('python3', ['-c', read, dir]);
      t.regex(stdout, /'mine'/);
      t.notRegex(stdout, /secret/);
      t.is(await readFile(join(outside, 'file'), 'utf8'), 'secret');
    },
  );
}

test.serial('an option that cannot be is a TypeError, a directory that is not there has its errno', (t) => {
  t.throws(() => mirror('/tmp', { timeout: -1 }), { instanceOf: TypeError, message: /timeout/ });
  t.throws(() => mirror('/tmp', { passthrough: true, writeback: true }), { message: /passthrough/ });
  t.throws(() => mirror('/nowhere/at/all'), { code: 'ENOENT' });
  for (const path of [undefined, null, 7, '', 'a\0b', {}]) {
    const message = /^mirror: path must be the path of a directory, not /;
    t.throws(() => mirror(path as string), { instanceOf: TypeError, message });
  }
  t.throws(() => mirror('/etc/passwd'), { code: 'ENOTDIR' });
});
