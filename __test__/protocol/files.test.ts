import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { RELEASE } from '#ringfuse/generated/layout.js';
import { noPython } from '../support/python.ts';
import { attributesOf, CONTENTS, HANDLE, NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { systemCalls } from '../support/system-calls.ts';

/** What the kernel says of the programs' architecture, and does not take off the flags. */
const O_LARGEFILE = 0x8000;
const O_CLOEXEC = 0x80000;

const flagsOf = ({ flags }: Readonly<Record<string, unknown>>): number =>
  (flags as number) & ~(O_LARGEFILE | O_CLOEXEC);

protocolTest(
  'open, read, write, flush, fsync and release carry the handle of the open file',
  [
    { kind: 'operation', name: 'open', call: 'open(2)', result: 'a descriptor; EACCES' },
    { kind: 'operation', name: 'read', call: 'pread(2)', result: 'bytes; fewer at the end' },
    { kind: 'operation', name: 'write', call: 'pwrite(2)', result: 'the count; a short count; ENOSPC' },
    { kind: 'operation', name: 'flush', call: 'close(2)', result: '0; ENOSPC' },
    { kind: 'operation', name: 'fsync', call: 'fsync(2), fdatasync(2)', result: '0; EIO' },
    { kind: 'operation', name: 'release', call: 'close(2)', result: 'one for each open' },
  ],
  async (t, transport) => {
    const fail = (code: string) => Object.assign(new Error(code), { code });
    const { path, of, recorder } = await recording(t, transport, {
      open({ ino }) {
        if (ino === NODES.other) throw fail('EACCES');
        return { fh: HANDLE, openFlags: 1 };
      },
      write({ size, offset, data }) {
        if (offset > 1000) throw fail('ENOSPC');
        return data[0] === 0x21 ? 1 : size;
      },
      fsync({ datasync }) {
        if (datasync) throw fail('EIO');
      },
      flush: () => Promise.reject(fail('ENOSPC')),
    });
    const file = await fs.open(path('file'), constants.O_RDWR | constants.O_APPEND);
    t.is(of('open').length, 1);
    t.is(flagsOf(of('open')[0]), constants.O_RDWR | constants.O_APPEND);
    t.like(of('open')[0], { op: 'open', ino: NODES.file, openFlags: 0 });
    await t.throwsAsync(fs.open(path('other')), { code: 'EACCES' });

    const buffer = Buffer.alloc(8);
    t.is((await file.read(buffer, 0, 8, 4)).bytesRead, 8);
    t.deepEqual(buffer, CONTENTS.subarray(4, 12));
    t.is((await file.read(buffer, 0, 8, 12)).bytesRead, 4);
    t.like(of('read')[0], { ino: NODES.file, fh: HANDLE, offset: 4, size: 8 });
    t.is(flagsOf(of('read')[0]), constants.O_RDWR | constants.O_APPEND);
    await file.sync();
    await t.throwsAsync(file.datasync(), { code: 'EIO' });
    t.deepEqual(of('fsync'), [
      { op: 'fsync', ino: NODES.file, fh: HANDLE, datasync: false },
      { op: 'fsync', ino: NODES.file, fh: HANDLE, datasync: true },
    ]);
    await t.throwsAsync(file.close(), { code: 'ENOSPC' });
    t.like(of('flush')[0], { ino: NODES.file, fh: HANDLE });
    t.regex(of('flush')[0].lockOwner as string, /^\d+$/);
    const released = await recorder.until('release');
    t.like(released, { op: 'release', ino: NODES.file, fh: HANDLE });
    t.is(flagsOf(released), constants.O_RDWR | constants.O_APPEND);
    t.is((released.releaseFlags as number) & ~RELEASE.FLUSH, 0);

    const writer = await fs.open(path('file'), 'r+');
    t.is((await writer.write('text', 7)).bytesWritten, 4);
    t.like(of('write')[0], {
      op: 'write',
      ino: NODES.file,
      fh: HANDLE,
      offset: 7,
      size: 4,
      data: 'text',
      writeFlags: 2,
    });
    // Direct I/O names the owner of locks, the same as close does.
    t.is(of('write')[0].lockOwner, of('flush')[0].lockOwner);
    t.is(of('read')[0].lockOwner, of('flush')[0].lockOwner);
    // Node.js goes on after a short count.
    t.is((await writer.write('!text', 0)).bytesWritten, 5);
    t.deepEqual(
      of('write').map(({ offset, data }) => [offset, data]),
      [
        [7, 'text'],
        [0, '!text'],
        [1, 'text'],
      ],
    );
    await t.throwsAsync(writer.write('text', 2000), { code: 'ENOSPC' });
    await writer.close().catch(() => undefined);
    await recorder.until('release', 2);
    t.is(of('release').length, 2);
  },
);

protocolTest(
  'create makes and opens a file in one step',
  [{ kind: 'operation', name: 'create', call: 'open(2) O_CREAT', result: 'a descriptor; EEXIST' }],
  async (t, transport) => {
    const { path, of } = await recording(t, transport, {
      create: ({ mode }) => ({ ino: NODES.made, attr: { mode }, fh: HANDLE }),
    });
    const file = await fs.open(path('dir/new'), 'wx+', 0o754);
    const umask = process.umask();
    t.like(of('create')[0], {
      op: 'create',
      parent: NODES.dir,
      name: 'new',
      mode: 0o100000 | (0o754 & ~umask),
      umask,
      openFlags: 0,
    });
    t.is(flagsOf(of('create')[0]), constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
    t.is((await file.stat()).mode, 0o100000 | (0o754 & ~umask));
    t.is(await file.readFile('utf8'), '');
    await file.close();
    await t.throwsAsync(fs.open(path('file'), 'wx'), { code: 'EEXIST' });
    t.deepEqual(of('open'), []);
  },
);

protocolTest(
  'tmpfile makes a file without a name, and link may name it',
  [
    {
      kind: 'operation',
      name: 'tmpfile',
      call: 'open(2) O_TMPFILE, linkat(2)',
      result: 'a descriptor, then a name',
    },
  ],
  async (t, transport) => {
    const { dir, of } = await recording(t, transport, {
      tmpfile: ({ mode }) => ({ ino: NODES.made, attr: { mode, nlink: 0 }, fh: HANDLE }),
      link: ({ ino }) => ({ ino, attr: { mode: 0o100600 } }),
    });
    const said = await systemCalls(
      t,
      `
os.umask(0o027)
fd = os.open(at('dir'), os.O_TMPFILE | os.O_RDWR, 0o666)
s = os.fstat(fd)
made = os.write(fd, b'text')
call(265, -100, b'/proc/self/fd/%d' % fd, -100, at('dir/named').encode(), 0x400)
say([oct(s.st_mode), s.st_nlink, made])
`,
      dir,
    );
    t.deepEqual(said, ['0o100640', 0, 4]);
    const { mode, parent, umask } = of('tmpfile')[0];
    t.deepEqual({ mode, parent, umask }, { mode: 0o100640, parent: NODES.dir, umask: 0o027 });
    t.is(
      flagsOf(of('tmpfile')[0]) & ~(constants.O_DIRECTORY | 0x400000 | constants.O_NOFOLLOW),
      constants.O_RDWR,
    );
    t.deepEqual(of('link'), [{ op: 'link', ino: NODES.made, newParent: NODES.dir, newName: 'named' }]);
    const without = await recording(t, transport);
    t.is(
      await systemCalls(t, `say(attempt(os.open, at('dir'), os.O_TMPFILE | os.O_RDWR))`, without.dir),
      'EOPNOTSUPP',
    );
  },
  { missing: noPython },
);

/** More than 32 bits can say, in pages. */
const WHOLE = 5 * 2 ** 30;

protocolTest(
  'fallocate has its modes, lseek finds data and holes, copy_file_range both files',
  [
    {
      kind: 'operation',
      name: 'fallocate',
      call: 'fallocate(2) 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, COLLAPSE_RANGE',
      result: '0; EOPNOTSUPP for what FUSE does not pass on',
    },
    { kind: 'operation', name: 'lseek', call: 'lseek(2) SEEK_DATA, SEEK_HOLE', result: 'the offset; ENXIO' },
    {
      kind: 'operation',
      name: 'copy_file_range',
      call: 'copy_file_range(2)',
      result: 'bytes copied, more than 4 GiB at once',
    },
  ],
  async (t, transport) => {
    const { dir, of } = await recording(t, transport, {
      fallocate: () => undefined,
      lseek({ offset, whence }) {
        if (offset > 10) throw Object.assign(new Error('ENXIO'), { code: 'ENXIO' });
        return whence === 3 ? offset + 1 : 2n ** 62n;
      },
      copy_file_range: ({ length }) => length - 1,
      getattr: ({ ino }) => ({ attr: { ...attributesOf(ino), size: WHOLE } }),
      lookup: ({ name }) => {
        const ino = name === 'file' ? NODES.file : NODES.other;
        return { ino, attr: { ...attributesOf(ino), size: WHOLE } };
      },
      open: ({ ino }) => ({ fh: HANDLE + ino }),
    });
    const said = await systemCalls(
      t,
      `
fd, other = os.open(at('file'), os.O_RDWR), os.open(at('other'), os.O_RDWR)
modes = [0, 1, 3, 0x10, 0x11, 8, 0x20]
say([
  [attempt(call, 285, fd, mode, 4096, 8192) for mode in modes],
  attempt(os.lseek, fd, 5, os.SEEK_DATA), attempt(os.lseek, fd, 6, os.SEEK_HOLE), attempt(os.lseek, fd, 12, os.SEEK_DATA),
  attempt(os.copy_file_range, fd, other, 10, 2, 3),
  attempt(os.copy_file_range, fd, other, ${WHOLE}, 0, 0),
])
`,
      dir,
    );
    const fh = HANDLE + NODES.file;
    t.deepEqual(said, [[0, 0, 0, 0, 0, 'EOPNOTSUPP', 'EOPNOTSUPP'], 6, 2 ** 62, 'ENXIO', 9, WHOLE - 1]);
    t.deepEqual(
      of('fallocate'),
      [0, 1, 3, 0x10, 0x11].map((mode) => ({
        op: 'fallocate',
        ino: NODES.file,
        fh,
        offset: 4096,
        length: 8192,
        mode,
      })),
    );
    t.deepEqual(of('lseek'), [
      { op: 'lseek', ino: NODES.file, fh, offset: 5, whence: 3 },
      { op: 'lseek', ino: NODES.file, fh, offset: 6, whence: 4 },
      { op: 'lseek', ino: NODES.file, fh, offset: 12, whence: 3 },
    ]);
    const copy = {
      op: 'copy_file_range',
      ino: NODES.file,
      fh,
      newIno: NODES.other,
      newFh: HANDLE + NODES.other,
      flags: 0,
    };
    t.deepEqual(of('copy_file_range')[0], { ...copy, offset: 2, newOffset: 3, length: 10 });
    t.like(of('copy_file_range')[1], { ...copy, offset: 0, newOffset: 0, length: WHOLE });
  },
  { missing: noPython },
);

protocolTest(
  'a mapped file is read by the page and written back',
  [
    { kind: 'operation', name: 'read', call: 'mmap(2)', result: 'the bytes' },
    { kind: 'operation', name: 'write', call: 'mmap(2), msync(2)', result: 'written back from the cache' },
  ],
  async (t, transport) => {
    const { dir, of } = await recording(t, transport);
    const said = await systemCalls(
      t,
      `
import mmap
fd = os.open(at('file'), os.O_RDWR)
m = mmap.mmap(fd, 16)
seen = bytes(m[:4])
m[2:4] = b'XY'
m.flush()
m.close()
say(seen)
`,
      dir,
    );
    t.is(said, '0123');
    t.like(of('read')[0], { ino: NODES.file, fh: HANDLE, offset: 0 });
    t.like(of('write')[0], { ino: NODES.file, fh: HANDLE, offset: 0, size: 16, data: '01XY456789abcdef' });
    t.is((of('write')[0].writeFlags as number) & 1, 1);
  },
  { missing: noPython },
);
