import * as fs from 'node:fs/promises';
import type { Attributes, ExtendedAttributes } from 'ringfuse';
import { FATTR } from '#ringfuse/generated/layout.js';
import { noPython } from '../support/python.ts';
import { attributesOf, CONTENTS, HANDLE, NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { systemCalls } from '../support/system-calls.ts';

const EUCLEAN = 117;

protocolTest(
  'getattr has the handle where the kernel asks for an open file',
  [
    {
      kind: 'operation',
      name: 'getattr',
      call: 'stat(2), fstat(2), read(2) at the end',
      result: 'attributes; any errno',
    },
  ],
  async (t, transport) => {
    let failing = false;
    const { path, of, recorder } = await recording(
      t,
      transport,
      {
        getattr({ ino }) {
          if (failing) throw Object.assign(new Error('no name in Node.js'), { errno: -EUCLEAN });
          return { attr: attributesOf(ino) };
        },
      },
      { attrTimeout: 0 },
    );
    const file = await fs.open(path('file'));
    recorder.clear();
    t.is((await file.stat()).size, CONTENTS.length);
    t.deepEqual(of('getattr'), [{ op: 'getattr', ino: NODES.file, fh: undefined }]);
    recorder.clear();
    // A read that begins at the end asks for the size with the handle.
    t.is((await file.read(Buffer.alloc(1), 0, 1, CONTENTS.length)).bytesRead, 0);
    t.deepEqual(of('getattr')[0], { op: 'getattr', ino: NODES.file, fh: HANDLE });
    failing = true;
    t.like(await file.stat().catch((error) => error), { errno: -EUCLEAN });
    failing = false;
    await file.close();
  },
);

protocolTest(
  'setattr says what is set, and UTIME_NOW and UTIME_OMIT survive',
  [
    {
      kind: 'operation',
      name: 'setattr',
      call: 'chmod(2), chown(2), truncate(2), utimensat(2)',
      result: 'each attribute alone; UTIME_NOW, UTIME_OMIT',
    },
  ],
  async (t, transport) => {
    const { dir, of } = await recording(t, transport);
    await systemCalls(
      t,
      `
os.chmod(at('file'), 0o4711)
os.chown(at('file'), 12, -1)
os.chown(at('file'), -1, 4000000000)
os.truncate(at('file'), 5)
fd = os.open(at('file'), os.O_RDWR)
os.ftruncate(fd, 6)
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
def utimensat(*times):
    call(280, -100, at('file').encode(), struct.pack('4q', *times), 0)
utimensat(-5, 999999999, 1 << 33, 1)
utimensat(0, NOW, 0, OMIT)
utimensat(0, OMIT, 7, 8)
os.utime(at('file'))
`,
      dir,
    );
    const ALL = ['mode', 'uid', 'gid', 'size', 'atime', 'mtime', 'ctime'] as const;
    const seen = of('setattr').map(({ valid, fh, attr, ino }) => {
      const set = attr as Record<string, unknown>;
      return {
        ino,
        fh,
        valid: (valid as number) & ~(FATTR.LOCKOWNER | FATTR.KILL_SUIDGID),
        ...Object.fromEntries(ALL.filter((name) => set[name] !== undefined).map((name) => [name, set[name]])),
      };
    });
    const expected = (valid: number, attr: object, fh?: number) => ({ ino: NODES.file, fh, valid, ...attr });
    t.deepEqual(seen, [
      expected(FATTR.MODE, { mode: 0o104711 }),
      expected(FATTR.UID, { uid: 12 }),
      expected(FATTR.GID, { gid: 4_000_000_000 }),
      expected(FATTR.SIZE, { size: 5 }),
      expected(FATTR.SIZE | FATTR.FH, { size: 6 }, HANDLE),
      expected(FATTR.ATIME | FATTR.MTIME, {
        atime: { sec: -5, nsec: 999_999_999 },
        mtime: { sec: 2 ** 33, nsec: 1 },
      }),
      expected(FATTR.ATIME | FATTR.ATIME_NOW, { atime: 'now' }),
      expected(FATTR.MTIME, { mtime: { sec: 7, nsec: 8 } }),
      expected(FATTR.ATIME | FATTR.MTIME | FATTR.ATIME_NOW | FATTR.MTIME_NOW, { atime: 'now', mtime: 'now' }),
    ]);
  },
  { missing: noPython },
);

protocolTest(
  'access has the mask that the caller asks for',
  [{ kind: 'operation', name: 'access', call: 'access(2)', result: '0; EACCES' }],
  async (t, transport) => {
    const { path, of } = await recording(t, transport, {
      access({ mask }) {
        if (mask & fs.constants.W_OK) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
      },
    });
    await fs.access(path('file'), fs.constants.R_OK);
    await t.throwsAsync(fs.access(path('file'), fs.constants.W_OK | fs.constants.R_OK), { code: 'EACCES' });
    t.deepEqual(of('access'), [
      { op: 'access', ino: NODES.file, mask: fs.constants.R_OK },
      { op: 'access', ino: NODES.file, mask: fs.constants.W_OK | fs.constants.R_OK },
    ]);
  },
);

protocolTest(
  'statfs gives figures of 64 bits',
  [{ kind: 'operation', name: 'statfs', call: 'statfs(2)', result: 'every figure' }],
  async (t, transport) => {
    const { path, of } = await recording(t, transport, {
      statfs: () => ({
        blocks: 2n ** 60n + 1n,
        bfree: 2 ** 50 + 1,
        bavail: 7,
        files: 2n ** 61n + 1n,
        ffree: 9,
        bsize: 65536,
        frsize: 512,
        namelen: 200,
      }),
    });
    const figures = await fs.statfs(path('dir'), { bigint: true });
    t.like(figures, {
      blocks: 2n ** 60n + 1n,
      bfree: 2n ** 50n + 1n,
      bavail: 7n,
      files: 2n ** 61n + 1n,
      ffree: 9n,
      bsize: 65536n,
    });
    t.deepEqual(of('statfs'), [{ op: 'statfs', ino: NODES.dir }]);
  },
);

protocolTest(
  'statx gives the birth time; without a handler the kernel asks for the rest by getattr',
  [
    {
      kind: 'operation',
      name: 'statx',
      call: 'statx(2) STATX_BTIME, AT_STATX_FORCE_SYNC',
      result: 'birth time; getattr without a handler',
    },
  ],
  async (t, transport) => {
    const program = `
buffer = ctypes.create_string_buffer(256)
def statx(fd, name, flags, mask):
    call(332, fd, name.encode(), flags, mask, ctypes.addressof(buffer))
    mask, blksize, attributes, nlink, uid, gid, mode, ino, size, blocks, supported = struct.unpack_from('<IIQIIIHxxQQQQ', buffer)
    times = [list(struct.unpack_from('<qI', buffer, 64 + 16 * n)) for n in range(4)]
    return dict(mask=mask, blksize=blksize, attributes=attributes, nlink=nlink, uid=uid, gid=gid, mode=mode, ino=ino,
        size=size, blocks=blocks, supported=supported, times=times, rdev=struct.unpack_from('<II', buffer, 128))
fd = os.open(at('file'), os.O_RDONLY)
say([statx(-100, at('file'), 0x2000, 0xfff), statx(fd, '', 0x1000 | 0x2000, 0x800)])
`;
    const attr: ExtendedAttributes = {
      mode: 0o100640,
      size: 2n ** 62n,
      nlink: 4,
      uid: 5,
      gid: 6,
      birthtime: { sec: -3, nsec: 4 },
      atime: 1_500n,
      mtime: new Date(-1500),
      ctime: 2500.5,
      attributes: 0x10,
      attributesMask: 0x30,
    };
    const { dir, of } = await recording(t, transport, {
      lookup: () => ({ ino: NODES.file, attr: attributesOf(NODES.file) }),
      statx: () => ({ attr }),
    });
    const [seen, byHandle] = (await systemCalls(t, program, dir)) as Record<string, unknown>[];
    // STATX_MNT_ID comes from the kernel itself.
    t.is((seen.mask as number) & 0xfff, 0xfff);
    t.like(seen, {
      nlink: 4,
      uid: 5,
      gid: 6,
      mode: 0o100640,
      ino: NODES.file,
      size: 2 ** 62,
      times: [
        [0, 1500],
        [-3, 4],
        [2, 500_500_000],
        [-2, 500_000_000],
      ],
    });
    // `fuse_do_statx` of Linux 6.18 takes times and basic figures only.
    t.is((seen.attributes as number) & 0x30, 0);
    // Linux 6.18 asks for everything that it caches, whatever the caller asks for, and names no handle.
    const request = { op: 'statx', ino: NODES.file, fh: undefined, flags: 0, mask: 0xfff };
    t.deepEqual(of('statx'), [request, request]);
    t.like(byHandle, { mode: 0o100640 });

    const without = await recording(t, transport);
    const [plain] = (await systemCalls(t, program, without.dir)) as Record<string, unknown>[];
    t.is((plain.mask as number) & 0xfff, 0x7ff);
    t.like(plain, { mode: 0o100644, size: CONTENTS.length });
  },
  { missing: noPython },
);

protocolTest(
  'dates before 1970 and after 2106 survive to the nanosecond',
  [
    {
      kind: 'operation',
      name: 'getattr',
      call: 'stat(2) of dates before 1970 and after 2106',
      result: 'the same nanoseconds',
    },
  ],
  async (t, transport) => {
    const times = [
      { sec: -62_135_596_800, nsec: 1 },
      { sec: -1, nsec: 999_999_999 },
      { sec: 4_294_967_296, nsec: 1 },
      { sec: 253_402_300_799, nsec: 999_999_999 },
    ];
    let time = times[0];
    const { dir, recorder } = await recording(t, transport, {
      getattr: ({ ino }) => ({ attr: { ...attributesOf(ino), mtime: time } }),
      lookup({ name }) {
        time = times[Number(name)];
        const nanoseconds = BigInt(time.sec) * 10n ** 9n + BigInt(time.nsec);
        const attr: Attributes = { mode: 0o100644, atime: nanoseconds, mtime: time, ctime: new Date(-1500) };
        return { ino: 10 + Number(name), attr };
      },
    });
    const said = await systemCalls(
      t,
      `
seen = [os.stat(at(str(n))) for n in range(${times.length})]
say([[str(s.st_atime_ns), str(s.st_mtime_ns), str(s.st_ctime_ns)] for s in seen])
`,
      dir,
    );
    t.deepEqual(
      said,
      times.map(({ sec, nsec }) => {
        const nanoseconds = String(BigInt(sec) * 10n ** 9n + BigInt(nsec));
        return [nanoseconds, nanoseconds, '-1500000000'];
      }),
    );
    t.is(recorder.of('lookup').length, times.length);
  },
  { missing: noPython },
);

protocolTest(
  'sizes and offsets beyond what a number holds are refused, never rounded',
  [
    {
      kind: 'operation',
      name: 'setattr',
      call: 'ftruncate(2), pwrite(2), fallocate(2), copy_file_range(2) beyond 2^53',
      result: 'EFBIG, EOVERFLOW: nothing is rounded',
    },
  ],
  async (t, transport) => {
    const { dir, of } = await recording(t, transport, {
      fallocate: () => undefined,
      lseek: ({ offset }) => offset,
      getattr: ({ ino }) => ({ attr: { ...attributesOf(ino), size: 2n ** 63n - 1n } }),
      lookup: ({ name }) =>
        name === 'file'
          ? { ino: NODES.file, attr: { ...attributesOf(NODES.file), size: 2n ** 63n - 1n } }
          : null,
      open: () => ({ fh: HANDLE, openFlags: 1 }),
    });
    const said = await systemCalls(
      t,
      `
fd = os.open(at('file'), os.O_RDWR)
SAFE = (1 << 53) - 1
say([
  os.fstat(fd).st_size == (1 << 63) - 1,
  attempt(os.ftruncate, fd, SAFE), attempt(os.ftruncate, fd, SAFE + 1), attempt(os.ftruncate, fd, (1 << 63) - 1),
  attempt(os.pwrite, fd, b'x', SAFE - 1), attempt(os.pwrite, fd, b'x', SAFE + 1),
  attempt(os.pread, fd, 1, SAFE + 1),
  attempt(call, 285, fd, 0, SAFE + 1, 1), attempt(call, 285, fd, 0, 0, SAFE + 1),
  attempt(os.lseek, fd, SAFE + 1, os.SEEK_DATA),
])
`,
      dir,
    );
    t.deepEqual(said, [true, null, 'EFBIG', 'EFBIG', 1, 'EFBIG', 'EOVERFLOW', 'EFBIG', 'EFBIG', 'EOVERFLOW']);
    t.is((of('setattr')[0].attr as { size: number }).size, Number.MAX_SAFE_INTEGER);
    t.is(of('write')[0].offset, Number.MAX_SAFE_INTEGER - 1);
  },
  { missing: noPython },
);

protocolTest(
  'every request names its caller: user, group and thread, also after setfsuid',
  [
    {
      kind: 'operation',
      name: 'mkdir',
      call: 'setfsuid(2), mkdir(2)',
      result: 'uid, gid and pid of the caller',
    },
  ],
  async (t, transport) => {
    const { dir, recorder } = await recording(
      t,
      transport,
      {
        mkdir: ({ uid, gid }) => ({ ino: NODES.made, attr: { mode: 0o40755, uid, gid } }),
      },
      { allowOther: true, defaultPermissions: false },
    );
    const [pid, tid, owners] = (await systemCalls(
      t,
      `
libc.setfsgid(4321)
libc.setfsuid(1234)
os.mkdir(at('by-fsuid'))
seen = os.stat(at('by-fsuid'))
libc.setfsuid(0)
libc.setfsgid(0)
tids = []
def work():
    tids.append(threading.get_native_id())
    os.mkdir(at('by-thread'))
thread = threading.Thread(target=work)
thread.start()
thread.join()
os.setresgid(77, 77, 77)
os.setresuid(66, 66, 66)
os.mkdir(at('by-uid'))
say([os.getpid(), tids[0], [seen.st_uid, seen.st_gid]])
`,
      dir,
    )) as [number, number, number[]];
    t.deepEqual(recorder.callers('mkdir'), [
      { uid: 1234, gid: 4321, pid },
      { uid: 0, gid: 0, pid: tid },
      { uid: 66, gid: 77, pid },
    ]);
    t.deepEqual(owners, [1234, 4321]);
  },
  { missing: noPython },
);
