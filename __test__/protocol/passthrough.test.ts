import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FOPEN, type Handlers, type MountOptions } from 'ringfuse';
import { noPython } from '../support/python.ts';
import { attributesOf, HANDLE, NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { systemCalls } from '../support/system-calls.ts';

protocolTest(
  'PASSTHROUGH: the kernel reads and writes the backing file itself',
  [
    {
      kind: 'capability',
      name: 'PASSTHROUGH',
      call: 'read(2), write(2)',
      result: 'bytes of the backing file; no read, no write; errors are clear',
    },
    { kind: 'open flag', name: 'PASSTHROUGH', call: 'open(2)', result: 'as above' },
  ],
  async (t, transport) => {
    const directory = await fs.mkdtemp(join(tmpdir(), 'ringfuse-backing-'));
    t.teardown(() => fs.rm(directory, { recursive: true }));
    const backed = join(directory, 'backed');
    await fs.writeFile(backed, 'of the backing file');
    const file = await fs.open(backed, 'r+');
    let backingId = 0;
    const attr = { mode: 0o100644, size: 19 };
    const { path, of, mount } = await recording(
      t,
      transport,
      {
        lookup: () => ({ ino: NODES.file, attr }),
        getattr: ({ ino }) => ({ attr: ino === NODES.file ? attr : attributesOf(ino) }),
        open: () => ({ fh: HANDLE, openFlags: FOPEN.PASSTHROUGH, backingId }),
      },
      { capabilities: ['PASSTHROUGH'], maxStackDepth: 1 },
    );
    const backing = mount.openBacking(file.fd);
    backingId = backing.id;
    await file.close();
    const open = await fs.open(path('file'), 'r+');
    t.is(await open.readFile('utf8'), 'of the backing file');
    t.is((await open.write('AT', 0)).bytesWritten, 2);
    await open.close();
    t.is(await fs.readFile(backed, 'utf8'), 'AT the backing file');
    t.deepEqual([of('read'), of('write')], [[], []]);
    backing.close();
    backing.close();
    await t.throwsAsync(fs.open(path('file')), { code: 'EIO' });

    t.throws(() => mount.openBacking(9999), { code: 'ERR_RINGFUSE_BACKING', message: /not open/ });
    const pipe = await fs.open('/dev/null');
    t.throws(() => mount.openBacking(pipe.fd), { code: 'ERR_RINGFUSE_BACKING' });
    await pipe.close();
    const plain = await recording(t, transport);
    const again = await fs.open(backed);
    t.throws(() => plain.mount.openBacking(again.fd), {
      code: 'ERR_RINGFUSE_BACKING',
      message: /PASSTHROUGH/,
    });
    await again.close();
  },
);

protocolTest(
  'PASSTHROUGH maps files into memory, and says why a file cannot be backing',
  [
    {
      kind: 'capability',
      name: 'PASSTHROUGH',
      call: 'mmap(2), msync(2); ioctl(2) BACKING_OPEN',
      result: 'pages of the backing file; ELOOP and EPERM with what mends them',
    },
  ],
  async (t, transport) => {
    const directory = await fs.mkdtemp(join(tmpdir(), 'ringfuse-backing-'));
    t.teardown(() => fs.rm(directory, { recursive: true }));
    const backed = join(directory, 'backed');
    await fs.writeFile(backed, 'of the backing file');
    const file = await fs.open(backed, 'r+');
    let backingId = 0;
    const attr = { mode: 0o100644, size: 19 };
    const own: Handlers = {
      lookup: () => ({ ino: NODES.file, attr }),
      getattr: ({ ino }) => ({ attr: ino === NODES.file ? attr : attributesOf(ino) }),
      open: () => ({ fh: HANDLE, openFlags: FOPEN.PASSTHROUGH, backingId }),
    };
    const options: MountOptions = { capabilities: ['PASSTHROUGH'], maxStackDepth: 1 };
    const { dir, path, of, mount } = await recording(t, transport, own, options);
    backingId = mount.openBacking(file.fd).id;

    process.seteuid?.(65_534);
    try {
      t.throws(() => mount.openBacking(file.fd), {
        code: 'ERR_RINGFUSE_BACKING',
        message: /EPERM.*CAP_SYS_ADMIN/s,
      });
    } finally {
      process.seteuid?.(0);
    }
    await file.close();

    t.is(
      await systemCalls(
        t,
        `
import mmap
fd = os.open(at('file'), os.O_RDWR)
map = mmap.mmap(fd, 19)
seen = map[:]
map[:3] = b'ON '
map.flush()
say(seen)
`,
        dir,
      ),
      'of the backing file',
    );
    t.is(await fs.readFile(backed, 'utf8'), 'ON the backing file');
    t.deepEqual([of('read'), of('write')], [[], []]);

    // A filesystem that passes through is as deep as it allows: its files are too deep for another of this kind.
    const upper = await recording(t, transport, {}, options);
    const stacked = await fs.open(path('file'));
    t.throws(() => upper.mount.openBacking(stacked.fd), {
      code: 'ERR_RINGFUSE_BACKING',
      message: /ELOOP.*max_stack_depth/s,
    });
    const deeper = await recording(t, transport, {}, { ...options, maxStackDepth: 2 });
    deeper.mount.openBacking(stacked.fd).close();
    await stacked.close();
  },
  { missing: noPython ?? (process.getuid?.() === 0 ? undefined : 'not root') },
);

protocolTest(
  'open flags: DIRECT_IO, KEEP_CACHE, NONSEEKABLE, STREAM, NOFLUSH, CACHE_DIR, PARALLEL_DIRECT_WRITES',
  [
    { kind: 'open flag', name: 'DIRECT_IO', call: 'read(2) twice', result: 'every read is sent' },
    { kind: 'open flag', name: 'KEEP_CACHE', call: 'open(2), read(2) twice', result: 'at most one read' },
    { kind: 'open flag', name: 'NONSEEKABLE', call: 'lseek(2), pread(2)', result: 'ESPIPE' },
    { kind: 'open flag', name: 'STREAM', call: 'read(2)', result: 'bytes from the start' },
    { kind: 'open flag', name: 'NOFLUSH', call: 'close(2)', result: 'no flush' },
    { kind: 'open flag', name: 'CACHE_DIR', call: 'getdents64(2) twice', result: 'listed once' },
    {
      kind: 'open flag',
      name: 'PARALLEL_DIRECT_WRITES',
      call: 'two pwrite(2) at once',
      result: 'both are held',
    },
    {
      kind: 'capability',
      name: 'DIRECT_IO_ALLOW_MMAP',
      call: 'mmap(2) MAP_SHARED',
      result: '0; ENODEV without',
    },
  ],
  async (t, transport) => {
    let openFlags = 0;
    let held = 0;
    let most = 0;
    const { dir, of, recorder } = await recording(
      t,
      transport,
      {
        open: () => ({ fh: HANDLE, openFlags }),
        opendir: () => ({ fh: HANDLE, openFlags: FOPEN.CACHE_DIR | FOPEN.KEEP_CACHE }),
        write: async ({ size }) => {
          most = Math.max(most, ++held);
          await new Promise((resolve) => setTimeout(resolve, 50));
          held--;
          return size;
        },
      },
      { capabilities: ['DIRECT_IO_ALLOW_MMAP'], entryTimeout: 1000, attrTimeout: 1000 },
    );
    const run = (code: string, where = dir) => {
      recorder.clear();
      return systemCalls(t, code, where);
    };
    const twice = `
for _ in range(2):
    fd = os.open(at('file'), os.O_RDONLY)
    os.pread(fd, 16, 0)
    os.close(fd)
say(None)
`;
    const map = `
import mmap
fd = os.open(at('file'), os.O_RDWR)
say(attempt(lambda: bytes(mmap.mmap(fd, 16)[:4])))
`;
    openFlags = FOPEN.DIRECT_IO;
    await run(twice);
    t.is(of('read').length, 2);
    t.is(await run(map), '0123');
    openFlags = FOPEN.KEEP_CACHE;
    await run(twice);
    t.true(of('read').length <= 1);
    openFlags = FOPEN.NOFLUSH;
    await run(twice);
    t.is(of('flush').length, 0);
    openFlags = FOPEN.NONSEEKABLE;
    const seek = `
fd = os.open(at('file'), os.O_RDONLY)
say([attempt(os.lseek, fd, 1, 0), attempt(os.pread, fd, 1, 1), os.read(fd, 2)])
`;
    t.deepEqual(await run(seek), ['ESPIPE', 'ESPIPE', '01']);
    openFlags = FOPEN.STREAM;
    t.is(((await run(seek)) as unknown[])[2], '01');
    const write = `
fd = os.open(at('file'), os.O_RDWR)
threads = [threading.Thread(target=os.pwrite, args=(fd, b'xx', n)) for n in (0, 4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
say(None)
`;
    openFlags = FOPEN.DIRECT_IO;
    await run(write);
    t.is(most, 1);
    openFlags = FOPEN.DIRECT_IO | FOPEN.PARALLEL_DIRECT_WRITES;
    await run(write);
    t.is(most, 2);
    await run(`say([os.listdir(path), os.listdir(path)])`);
    const listed = of('readdir').filter(({ offset }) => offset === 0).length;
    t.is(listed, 1);

    openFlags = FOPEN.DIRECT_IO;
    const plain = await recording(t, transport, { open: () => ({ fh: HANDLE, openFlags: FOPEN.DIRECT_IO }) });
    t.is(await run(map, plain.dir), 'ENODEV');
  },
  { missing: noPython },
);
