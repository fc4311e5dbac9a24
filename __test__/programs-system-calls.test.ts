/** System calls on `memory()` that programs of the shell do not make. */

import * as fs from 'node:fs/promises';
import { type MemoryOptions, memory, memoryMountOptions } from '@ringfuse/fs';
import test, { type ExecutionContext } from 'ava';
import type { MountOptions, Operation } from 'ringfuse';
import { counted } from './support/counted.ts';
import { mounted } from './support/mounted.ts';
import { noPython } from './support/python.ts';
import { systemCalls } from './support/system-calls.ts';

const caches: readonly (readonly [cache: string, options: MountOptions])[] = [
  ['default cache', {}],
  ['write-back cache', { capabilities: ['WRITEBACK_CACHE'] }],
  ['nothing cached', { entryTimeout: 0, attrTimeout: 0, directIo: true }],
];

/** A mount of the test's, and what was asked of it. */
interface Memory {
  /** Runs a program on it, see {@link systemCalls}. */
  run(code: string): Promise<unknown>;
  count(op: Operation): number;
  path(...names: string[]): string;
}

function memoryTest(
  title: string,
  body: (t: ExecutionContext, memory: Memory) => Promise<void>,
  options: MemoryOptions = {},
  among = caches,
): void {
  for (const [cache, mountOptions] of among) {
    const named = `${title} (${cache})`;
    const run = async (t: ExecutionContext): Promise<void> => {
      const { handlers, count } = counted(memory(options));
      const { dir, path } = await mounted(t, handlers, {
        ...memoryMountOptions,
        allowOther: true,
        ...mountOptions,
      });
      await body(t, { run: (code) => systemCalls(t, code, dir), count, path });
    };
    if (noPython === undefined) test.serial(named, run);
    else test.skip(`${named} (${noPython})`, run);
  }
}

memoryTest(
  'a nameless file is gone when it is closed, unless it was given a name',
  async (t, { run, count }) => {
    const said = await run(`
free = lambda: os.statvfs(path).f_ffree
def nameless(flags=0):
    return os.open(path, os.O_TMPFILE | os.O_RDWR | flags, 0o640)
def name(fd, to):
    return attempt(call, 265, -100, b'/proc/self/fd/%d' % fd, -100, at(to).encode(), 0x400)  # AT_SYMLINK_FOLLOW
os.umask(0o022)
begun = free()
fd = nameless()
os.write(fd, b'contents')
seen = os.fstat(fd)
said = [seen.st_nlink, seen.st_size, oct(seen.st_mode), os.listdir(path), begun - free(), os.pread(fd, 20, 3).decode()]
said += [name(fd, 'file'), name(fd, 'other'), os.stat(at('file')).st_nlink, open(at('file')).read()]
os.unlink(at('file'))
os.unlink(at('other'))
said += [name(fd, 'again'), os.fstat(fd).st_nlink]
os.close(fd)
exclusive = nameless(os.O_EXCL)
said += [name(exclusive, 'exclusive'), sorted(os.listdir(path))]
os.close(exclusive)
for _ in range(500):
    if free() == begun:
        break
    time.sleep(0.01)
say(said + [begun - free()])
`);
    t.deepEqual(said, [
      ...[0, 8, '0o100640', [], 1, 'tents'],
      ...[0, 0, 2, 'contents'],
      // It was nameless twice.
      ...['ENOENT', 0],
      ...['ENOENT', [], 0],
    ]);
    t.is(count('tmpfile'), 2);
  },
);

memoryTest('copy_file_range copies bytes and holes within the filesystem', async (t, { run, count }) => {
  const MIB = 1 << 20;
  const said = await run(`
MIB = 1 << 20
def opened(name):
    return os.open(at(name), os.O_RDWR | os.O_CREAT, 0o644)
def copy(source, offset, target, new_offset, length):
    done = 0
    while done < length:
        made = attempt(os.copy_file_range, source, target, length - done, offset + done, new_offset + done)
        if isinstance(made, str):
            return made
        if made == 0:
            break
        done += made
    return done
def data(fd):
    found, at = [], 0
    while True:
        start = attempt(os.lseek, fd, at, os.SEEK_DATA)
        if start == 'ENXIO':
            return found
        at = os.lseek(fd, start, os.SEEK_HOLE)
        found.append([start, at])
source, target = opened('source'), opened('target')
os.pwrite(source, b'a' * 70000, MIB)
os.pwrite(source, os.urandom(20 * MIB), 30 * MIB)
os.pwrite(source, b'end', 60 * MIB)
said = [copy(source, 0, target, 0, 1 << 40), os.fstat(target).st_size]
os.fsync(target)
same = all(os.pread(source, MIB, n * MIB) == os.pread(target, MIB, n * MIB) for n in range(61))
said += [same, data(source) == data(target), os.fstat(source).st_blocks == os.fstat(target).st_blocks]
said += [copy(source, 60 * MIB + 1, target, 7, 100), os.pread(target, 4, 6).decode('latin-1')]
said += [copy(source, 60 * MIB + 3, target, 0, 10), copy(source, 0, source, 5, 10), copy(source, 5, source, 0, 10)]
said += [copy(source, 60 * MIB, source, 0, 3), os.pread(source, 4, 0).decode('latin-1')]
before = os.fstat(target)
time.sleep(0.02)
copy(source, 0, target, 0, 3)
after = os.fstat(target)
said += [after.st_mtime_ns > before.st_mtime_ns, after.st_ctime_ns > before.st_ctime_ns]
reader = os.open(at('target'), os.O_RDONLY)
said += [copy(source, 0, reader, 0, 1), copy(source, 0, target, (1 << 53), 1)]
say(said)
`);
  t.deepEqual(said, [
    ...[60 * MIB + 3, 60 * MIB + 3, true, true, true],
    ...[2, '\0nd\0'],
    ...[0, 'EINVAL', 'EINVAL', 3, 'end\0'],
    ...[true, true, 'EBADF', 'EFBIG'],
  ]);
  t.true(count('copy_file_range') > 0);
});

memoryTest(
  'a copy that finds no space ends short, then with ENOSPC',
  async (t, { run }) => {
    t.deepEqual(
      await run(`
source, target = (os.open(at(name), os.O_RDWR | os.O_CREAT) for name in ('source', 'target'))
os.pwrite(source, b'x' * 655360, 65536)
os.fsync(source)
say([os.copy_file_range(source, target, 655360, 65536, 65536), attempt(os.copy_file_range, source, target, 1, 65536, 1 << 20)])
`),
      [393_216, 'ENOSPC'],
    );
  },
  { size: 1 << 20 },
);

memoryTest('the birth time stays, whatever happens to the others', async (t, { count, path }) => {
  const before = Date.now() - 20;
  await fs.writeFile(path('file'), 'x');
  const { birthtimeMs } = await fs.stat(path('file'));
  t.true(birthtimeMs >= before && birthtimeMs <= Date.now() + 20, `${birthtimeMs}`);
  await fs.utimes(path('file'), 1, 2);
  await fs.appendFile(path('file'), 'y');
  await fs.rename(path('file'), path('other'));
  const after = await fs.stat(path('other'));
  t.is(after.birthtimeMs, birthtimeMs);
  t.true(count('statx') > 0);
});

memoryTest('a rename may leave a whiteout, and must not replace if told so', async (t, { run }) => {
  t.deepEqual(
    await run(`
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
def rename(name, new_name, flags):
    return attempt(call, 316, -100, at(name).encode(), -100, at(new_name).encode(), flags)
for name in ('a', 'b'):
    open(at(name), 'w').write(name)
said = [rename('a', 'b', NOREPLACE), rename('a', 'b', NOREPLACE | WHITEOUT), rename('a', 'b', EXCHANGE)]
said += [open(at('a')).read(), rename('a', 'c', WHITEOUT | NOREPLACE), rename('c', 'b', WHITEOUT)]
seen = os.lstat(at('c'))
said += [open(at('b')).read(), oct(seen.st_mode), seen.st_rdev, seen.st_nlink, sorted(os.listdir(path))]
say(said + [rename('b', 'c', EXCHANGE | WHITEOUT), rename('b', 'c', 8)])
`),
    [
      ...['EEXIST', 'EEXIST', 0],
      ...['b', 0, 0],
      ...['b', '0o20000', 0, 1, ['a', 'b', 'c']],
      ...['EINVAL', 'EINVAL'],
    ],
  );
});

memoryTest('extended attributes have their limits, each with its errno', async (t, { run }) => {
  t.deepEqual(
    await run(`
f = at('file')
open(f, 'w').close()
os.symlink('file', at('link'))
def set(name, value=b'', flags=0, where=f, **named):
    return attempt(os.setxattr, where, name, value, flags, **named)
room = ctypes.create_string_buffer(100)
def get(name, size):
    return attempt(call, 191, f.encode(), name.encode(), ctypes.addressof(room), size)
said = [
  set('user.' + 'n' * 250), set('user.' + 'n' * 251), set('user.'), set('user'), set('other.name'), set('system.name'),
  set('user.large', b'v' * 65536), set('user.large', b'v' * 65537), get('user.large', 100), get('user.large', 0),
  set('user.large', b'', os.XATTR_CREATE), set('user.none', b'', os.XATTR_REPLACE), attempt(os.removexattr, f, 'user.none'),
  set('user.name', where=at('link'), follow_symlinks=False), set('trusted.name', where=at('link'), follow_symlinks=False),
]
made = 0
while set('user.%0200d' % made) is None:
    made += 1
said += [made, set('user.%0200d' % made), sum(len(name) + 1 for name in os.listxattr(f)) <= 65536]
set('trusted.secret', b'x', where=path)
set('user.open', b'y', where=path)
os.chmod(path, 0o755)
said.append(sorted(os.listxattr(path)))
os.setresuid(66, 66, 66)
say(said + [os.listxattr(path), attempt(os.getxattr, path, 'trusted.secret'), attempt(os.getxattr, path, 'user.open')])
`),
    [
      ...[null, 'ERANGE', 'EINVAL', 'EOPNOTSUPP', 'EOPNOTSUPP', 'EOPNOTSUPP'],
      ...[null, 'E2BIG', 'ERANGE', 65_536],
      ...['EEXIST', 'ENODATA', 'ENODATA'],
      ...['EPERM', null],
      // 206 bytes each, beside the two from before.
      ...[316, 'ENOSPC', true],
      ['trusted.secret', 'user.open'],
      ...[['user.open'], 'ENODATA', 'y'],
    ],
  );
});

// With the write-back cache the kernel answers lseek itself: it would ask before it has written.
memoryTest(
  'fallocate makes and frees space, and lseek finds what holds data',
  async (t, { run }) => {
    t.deepEqual(
      await run(`
KEEP_SIZE, PUNCH, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
CHUNK = 65536
fd = os.open(at('file'), os.O_RDWR | os.O_CREAT)
def allocate(mode, offset, length):
    made = attempt(call, 285, fd, mode, offset, length)
    seen = os.fstat(fd)
    return [made, seen.st_size // CHUNK, seen.st_blocks * 512 // CHUNK]
def seek(offset, whence):
    found = attempt(os.lseek, fd, offset, whence)
    return found if isinstance(found, str) else found / CHUNK
said = [allocate(0, CHUNK, CHUNK), allocate(KEEP_SIZE, 2 * CHUNK, CHUNK), seek(0, os.SEEK_DATA), seek(0, os.SEEK_HOLE)]
os.pwrite(fd, b'x' * 3 * CHUNK, 3 * CHUNK)
os.fsync(fd)
said += [seek(0, os.SEEK_DATA), seek(3 * CHUNK + 1, os.SEEK_DATA), seek(3 * CHUNK, os.SEEK_HOLE), seek(6 * CHUNK, os.SEEK_DATA)]
said += [allocate(PUNCH | KEEP_SIZE, 4 * CHUNK, CHUNK), seek(3 * CHUNK, os.SEEK_HOLE), seek(4 * CHUNK, os.SEEK_DATA)]
said += [allocate(ZERO, 5 * CHUNK + 1, 2 * CHUNK), os.pread(fd, 2, 5 * CHUNK).decode(), allocate(ZERO | KEEP_SIZE, 8 * CHUNK, CHUNK)]
said += [allocate(PUNCH, 0, 1)[0], allocate(COLLAPSE, 0, CHUNK)[0], allocate(INSERT, 0, CHUNK)[0], allocate(0, 0, 1 << 54)[0]]
say(said)
`),
      [
        ...[[null, 2, 1].map((n) => n ?? 0), [0, 2, 2], 'ENXIO', 0],
        ...[3, 3 + 1 / 65_536, 6, 'ENXIO'],
        ...[[0, 6, 4], 4, 5],
        ...[[0, 7, 5], 'x\0', [0, 7, 6]],
        ...['EOPNOTSUPP', 'EOPNOTSUPP', 'EOPNOTSUPP', 'EFBIG'],
      ],
    );
  },
  {},
  caches.filter(([, { capabilities }]) => !capabilities?.includes('WRITEBACK_CACHE')),
);
