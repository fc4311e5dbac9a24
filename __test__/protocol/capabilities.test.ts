import * as fs from 'node:fs/promises';
import { type Capability, FuseError, type MountOptions } from 'ringfuse';
import { mounted } from '../support/mounted.ts';
import { noPython } from '../support/python.ts';
import { attributesOf, HANDLE, NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { sandbox } from '../support/sandbox.ts';
import { startSystemCalls, systemCalls } from '../support/system-calls.ts';
import { overBoth } from '../support/transports.ts';

const LONG = { entryTimeout: 1000, attrTimeout: 1000 };

const SEEK = `
fd = os.open(at('file'), os.O_RDWR)
os.pwrite(fd, b'x' * 1000, 9000)
say([os.lseek(fd, 9500, os.SEEK_DATA), os.lseek(fd, 9500, os.SEEK_HOLE)])
`;

protocolTest(
  'WRITEBACK_CACHE leaves lseek to the kernel: what is only cached is data',
  [
    {
      kind: 'capability',
      name: 'WRITEBACK_CACHE',
      call: 'write(2), lseek(2) SEEK_DATA, SEEK_HOLE',
      result: 'no lseek: what is only cached is data',
    },
  ],
  async (t, transport) => {
    const { dir, of } = await recording(
      t,
      transport,
      { read: () => Buffer.alloc(0), lseek: () => Promise.reject(new FuseError('ENXIO')) },
      { capabilities: ['WRITEBACK_CACHE'], ...LONG },
    );
    t.deepEqual(await systemCalls(t, SEEK, dir), [9500, 10_000]);
    t.deepEqual(of('lseek'), []);
  },
  { missing: noPython },
);

protocolTest(
  'WRITEBACK_CACHE gathers writes in the page cache',
  [
    {
      kind: 'capability',
      name: 'WRITEBACK_CACHE',
      call: '100 x write(2), fsync(2)',
      result: 'few writes, from the cache; setattr with ctime',
    },
  ],
  async (t, transport) => {
    const { path, of } = await recording(
      t,
      transport,
      { read: () => Buffer.alloc(0) },
      { capabilities: ['WRITEBACK_CACHE'], ...LONG },
    );
    const file = await fs.open(path('file'), 'r+');
    for (let index = 0; index < 100; index++) await file.write('x'.repeat(100), index * 100);
    t.deepEqual(of('write'), []);
    await file.sync();
    const written = of('write');
    t.true(written.length >= 1 && written.length < 5);
    t.is(written[0].data, 'x'.repeat(written[0].size as number));
    t.is((written[0].writeFlags as number) & 1, 1);
    await file.close();
    t.true(of('setattr').some(({ attr }) => (attr as { ctime?: unknown }).ctime !== undefined));
  },
);

/** Bytes of two READ requests of the largest size. */
const TWO_READS = 2 << 20;

const READ_DIRECTLY = `
import mmap
fd = os.open(at('file'), os.O_RDONLY | os.O_DIRECT)
say([os.preadv(fd, [mmap.mmap(-1, ${TWO_READS})], 0)])
`;

protocolTest(
  'ASYNC_DIO sends direct I/O of several requests at once',
  [
    {
      kind: 'capability',
      name: 'ASYNC_DIO',
      call: 'preadv(2) of 2 MiB, O_DIRECT',
      result: 'the second read comes before the first is answered',
    },
  ],
  async (t, transport) => {
    let waiting = 0;
    let all: () => void = () => undefined;
    const together = new Promise<void>((resolve) => {
      all = resolve;
    });
    const { dir } = await recording(
      t,
      transport,
      {
        lookup: () => ({ ino: NODES.file, attr: { mode: 0o100644, size: TWO_READS } }),
        read: async ({ size }) => {
          if (++waiting === 2) all();
          await together;
          return Buffer.alloc(size);
        },
      },
      { capabilities: ['ASYNC_DIO'] },
    );
    t.deepEqual(await systemCalls(t, READ_DIRECTLY, dir), [TWO_READS]);
    t.is(waiting, 2);
  },
  { missing: noPython },
);

protocolTest(
  'ATOMIC_O_TRUNC leaves O_TRUNC in open, which is a setattr otherwise',
  [{ kind: 'capability', name: 'ATOMIC_O_TRUNC', call: 'open(2) O_TRUNC', result: 'one open, no setattr' }],
  async (t, transport) => {
    for (const atomic of [true, false]) {
      const { path, of } = await recording(
        t,
        transport,
        {},
        { capabilities: atomic ? ['ATOMIC_O_TRUNC'] : [] },
      );
      await (await fs.open(path('file'), fs.constants.O_WRONLY | fs.constants.O_TRUNC)).close();
      t.is(((of('open')[0].flags as number) & fs.constants.O_TRUNC) !== 0, atomic);
      t.is(of('setattr').length, atomic ? 0 : 1);
    }
  },
);

protocolTest(
  'NO_OPEN_SUPPORT: after ENOSYS open is not sent again, but where it truncates or says how data is read',
  [{ kind: 'capability', name: 'NO_OPEN_SUPPORT', call: 'open(2) twice', result: 'one open, no release' }],
  async (t, transport) => {
    const { O_RDONLY, O_WRONLY, O_TRUNC } = fs.constants;
    const open = () => {
      throw new FuseError('ENOSYS');
    };
    for (const options of [{}, { capabilities: ['ATOMIC_O_TRUNC'] }, { directIo: true }] as const) {
      const { path, of } = await recording(
        t,
        transport,
        { open },
        { optionalCapabilities: ['EXPLICIT_INVAL_DATA'], ...LONG, ...options },
      );
      for (let time = 0; time < 2; time++) {
        const file = await fs.open(path('file'), O_RDONLY);
        t.is((await file.readFile('utf8')).length, 16);
        await file.close();
      }
      t.is(of('read').length === 1, !('directIo' in options));
      const truncated = fs.open(path('file'), O_WRONLY | O_TRUNC).then((file) => file.close());
      if ('capabilities' in options) await t.throwsAsync(truncated, { code: 'ENOTSUP' });
      else await truncated;
      const itself = Object.keys(options).length === 0;
      t.is(of('open').length, itself ? 1 : 3);
      if (itself) t.deepEqual(of('release'), []);
    }
  },
);

protocolTest(
  'CACHE_SYMLINKS asks once for what a link says',
  [{ kind: 'capability', name: 'CACHE_SYMLINKS', call: 'readlink(2) twice', result: 'one readlink' }],
  async (t, transport) => {
    for (const cached of [true, false]) {
      const { path, of } = await recording(
        t,
        transport,
        {},
        { capabilities: cached ? ['CACHE_SYMLINKS'] : [], ...LONG },
      );
      t.is(await fs.readlink(path('link')), 'file');
      t.is(await fs.readlink(path('link')), 'file');
      t.is(of('readlink').length, cached ? 1 : 2);
    }
  },
);

protocolTest(
  'DONT_MASK leaves the umask to the filesystem',
  [{ kind: 'capability', name: 'DONT_MASK', call: 'umask(2), mkdir(2)', result: 'mode and umask apart' }],
  async (t, transport) => {
    const { dir, of } = await recording(
      t,
      transport,
      { mkdir: ({ mode }) => ({ ino: NODES.made, attr: { mode: 0o40000 | mode } }) },
      { capabilities: ['DONT_MASK'] },
    );
    await systemCalls(t, `os.umask(0o077)\nos.mkdir(at('new'), 0o777)`, dir);
    t.like(of('mkdir')[0], { mode: 0o777, umask: 0o077 });
  },
  { missing: noPython },
);

protocolTest(
  'EXPLICIT_INVAL_DATA keeps pages although the file changed',
  [
    {
      kind: 'capability',
      name: 'EXPLICIT_INVAL_DATA',
      call: 'read(2), stat(2) with a new mtime, read(2)',
      result: 'cached bytes stay until invalInode',
    },
  ],
  async (t, transport) => {
    let mtime = 1;
    const { path, of, mount } = await recording(
      t,
      transport,
      {
        getattr: ({ ino }) => ({ attr: { ...attributesOf(ino), mtime } }),
        lookup: () => ({ ino: NODES.file, attr: { ...attributesOf(NODES.file), mtime } }),
        open: () => ({ fh: HANDLE, openFlags: 2 }),
      },
      { capabilities: ['EXPLICIT_INVAL_DATA'], entryTimeout: 0, attrTimeout: 0 },
    );
    await fs.readFile(path('file'));
    const before = of('read').length;
    mtime = 100_000;
    await fs.stat(path('file'));
    await fs.readFile(path('file'));
    t.is(of('read').length, before);
    await mount.notify.invalInode(NODES.file);
    await fs.readFile(path('file'));
    t.true(of('read').length > before);
  },
);

protocolTest(
  'EXPORT_SUPPORT finds a node by its handle after the kernel forgot it',
  [
    {
      kind: 'capability',
      name: 'EXPORT_SUPPORT',
      call: 'name_to_handle_at(2), open_by_handle_at(2)',
      result: 'lookup of "." and ".." in the node; ESTALE for another generation',
    },
  ],
  async (t, transport) => {
    let generation = 7;
    const { dir, of, mount } = await recording(
      t,
      transport,
      {
        lookup: ({ name, parent }) =>
          name === '.'
            ? { ino: parent, generation, attr: attributesOf(parent) }
            : name === '..'
              ? { ino: NODES.root, attr: attributesOf(NODES.root) }
              : name === 'dir'
                ? { ino: NODES.dir, generation, attr: attributesOf(NODES.dir) }
                : null,
      },
      { capabilities: ['EXPORT_SUPPORT'] },
    );
    const program = startSystemCalls(
      `
handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128))
mount_id = ctypes.c_int()
call(303, -100, at('dir').encode(), ctypes.addressof(handle), ctypes.addressof(mount_id), 0)
root = os.open(path, os.O_RDONLY)
for _ in range(2):
    say(None)
    sys.stdin.readline()
    fd = attempt(call, 304, root, ctypes.addressof(handle), os.O_RDONLY)
    say(fd if isinstance(fd, str) else sorted(os.listdir(fd)))
    if not isinstance(fd, str):
        os.close(fd)
`,
      dir,
    );
    t.teardown(() => program.kill('SIGKILL'));
    await program.line();
    t.true(await mount.notify.prune([NODES.dir]));
    program.tell('open it');
    t.is(await program.line(), '["dir", "file", "link", "other"]');
    t.like(
      of('lookup').find(({ name }) => name === '.'),
      { op: 'lookup', parent: NODES.dir },
    );
    t.like(
      of('lookup').find(({ name }) => name === '..'),
      { op: 'lookup', parent: NODES.dir },
    );
    await program.line();
    generation = 8;
    t.true(await mount.notify.prune([NODES.dir]));
    program.tell('open it');
    t.is(await program.line(), '"ESTALE"');
  },
  { missing: noPython },
);

protocolTest(
  'NO_EXPORT_SUPPORT gives no handles of nodes',
  [{ kind: 'capability', name: 'NO_EXPORT_SUPPORT', call: 'name_to_handle_at(2)', result: 'EOPNOTSUPP' }],
  async (t, transport) => {
    const { dir } = await recording(t, transport, {}, { capabilities: ['NO_EXPORT_SUPPORT'] });
    const program = `
handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128))
mount_id = ctypes.c_int()
say(attempt(call, 303, -100, at('file').encode(), ctypes.addressof(handle), ctypes.addressof(mount_id), 0))
`;
    t.is(await systemCalls(t, program, dir), 'EOPNOTSUPP');
    const without = await recording(t, transport);
    t.is(await systemCalls(t, program, without.dir), 0);
  },
  { missing: noPython },
);

protocolTest(
  'ABORT_ERROR: a mount that is ended under a request ends well, and the caller gets ECONNABORTED',
  [
    {
      kind: 'capability',
      name: 'ABORT_ERROR',
      call: 'mkdir(2), umount2(2) MNT_FORCE',
      result: 'ECONNABORTED',
    },
  ],
  async (t, transport) => {
    const { path, mount, served, recorder } = await recording(
      t,
      transport,
      { mkdir: () => new Promise(() => undefined) },
      { capabilities: ['ABORT_ERROR'] },
    );
    const making = t.throwsAsync(fs.mkdir(path('new')), { code: 'ECONNABORTED' });
    await recorder.until('mkdir');
    await mount.destroy();
    await making;
    await served;
    t.is(mount.outstanding, 0);
  },
);

protocolTest(
  'REQUEST_TIMEOUT is agreed on with its seconds',
  [
    {
      kind: 'capability',
      name: 'REQUEST_TIMEOUT',
      call: 'mount(2)',
      result: 'agreed on; what it does takes too long for a test',
    },
  ],
  async (t, transport) => {
    const { mount } = await recording(
      t,
      transport,
      {},
      { capabilities: ['REQUEST_TIMEOUT'], requestTimeout: 20 },
    );
    t.true(mount.capabilities.includes('REQUEST_TIMEOUT'));
  },
);

overBoth(
  'an optional capability is taken where it goes with the rest, and is no error elsewhere',
  async (t) => {
    const optionalCapabilities: readonly Capability[] = ['CACHE_SYMLINKS', 'POSIX_ACL'];
    const taken = async (options: MountOptions): Promise<string[]> => {
      const { mount } = await mounted(t, sandbox(), { optionalCapabilities, ...options });
      await fs.stat(mount.path);
      return optionalCapabilities.filter((name) => mount.capabilities.includes(name));
    };
    t.deepEqual(await taken({ defaultPermissions: true }), ['CACHE_SYMLINKS', 'POSIX_ACL']);
    t.deepEqual(await taken({}), ['CACHE_SYMLINKS']);
    const code = 'ERR_RINGFUSE_CAPABILITY';
    await t.throwsAsync(taken({ capabilities: ['POSIX_ACL'] }), { code, message: /default_permissions/ });
    await t.throwsAsync(taken({ optionalCapabilities: ['OVER_IO_URING'] }), { code, message: /transport/ });
  },
);
