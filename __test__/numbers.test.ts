/** Numbers beyond 2^53: the answer is certain without the number, or the number is exact. */

import { mkdtemp, rm } from 'node:fs/promises';
import { memory, memoryMountOptions, mirror } from '@ringfuse/fs';
import { mount, serve } from 'ringfuse';
import { mounted, mountpoint } from './support/mounted.ts';
import { noPython } from './support/python.ts';
import { sandbox, UNCACHED } from './support/sandbox.ts';
import { systemCalls } from './support/system-calls.ts';
import { overBoth } from './support/transports.ts';

/** Calls on the file `file` with offsets that no number is. Each line of the result is what one offset gets. */
const BEYOND_THE_END = `
fd = os.open(at('file'), os.O_RDWR)
other = os.open(at('file'), os.O_RDWR)
said = []
for offset in (1 << 53, (1 << 53) + 1, 1 << 62, (1 << 63) - 8192):
    said.append([len(os.pread(fd, 4096, offset)), attempt(os.lseek, fd, offset, os.SEEK_DATA),
                 attempt(os.lseek, fd, offset, os.SEEK_HOLE), attempt(os.copy_file_range, fd, other, 4096, offset, 0)])
for offset in (-1, -(1 << 53), -(1 << 63)):
    said.append([attempt(os.lseek, fd, offset, os.SEEK_DATA), attempt(os.lseek, fd, offset, os.SEEK_HOLE)])
say(said)`;

const ENDED = [
  ...Array.from({ length: 4 }, () => [0, 'ENXIO', 'ENXIO', 0]),
  ...Array.from({ length: 3 }, () => ['ENXIO', 'ENXIO']),
];

overBoth(
  'beyond 2^53 a file has ended: reads get nothing, SEEK_DATA and SEEK_HOLE get ENXIO',
  async (t, transport) => {
    const offsets: unknown[] = [];
    const note = ({ offset }: { readonly offset: number }): number => offsets.push(offset) - offsets.length;
    const { dir } = await mounted(
      t,
      sandbox({ read: note, lseek: note, copy_file_range: note, open: () => ({ fh: 1 }) }),
      { ...UNCACHED, transport },
    );
    t.deepEqual(await systemCalls(t, BEYOND_THE_END, dir), ENDED);
    t.deepEqual(offsets, []);
  },
  noPython,
);

overBoth(
  'a file that is longer than 2^53 has not ended there: what no number is gets EOVERFLOW',
  async (t, transport) => {
    const attr = { mode: 0o100644, size: 1n << 60n };
    const { dir } = await mounted(
      t,
      sandbox({
        lookup: ({ name }) => (name === 'file' ? { ino: 2, attr } : null),
        getattr: ({ ino }) => ({ attr: ino === 1 ? { mode: 0o40755 } : attr }),
        lseek: ({ offset }) => offset,
        open: () => ({ fh: 1 }),
      }),
      { ...UNCACHED, transport },
    );
    const code = `
fd = os.open(at('file'), os.O_RDONLY)
say([attempt(os.pread, fd, 1, 1 << 53), attempt(os.lseek, fd, 1 << 53, os.SEEK_DATA), attempt(os.lseek, fd, -(1 << 63), os.SEEK_DATA)])`;
    t.deepEqual(await systemCalls(t, code, dir), ['EOVERFLOW', 'EOVERFLOW', 'ENXIO']);
  },
  noPython,
);

overBoth(
  'a hole may be punched up to the last byte that there is, and beyond the end',
  async (t, transport) => {
    const punched: (readonly number[])[] = [];
    const { dir } = await mounted(
      t,
      sandbox({ fallocate: ({ offset, length, mode }) => void punched.push([offset, length, mode]) }),
      { ...UNCACHED, transport },
    );
    const code = `
fd = os.open(at('file'), os.O_RDWR)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
def punch(offset, length, mode=3):
    return None if libc.fallocate(fd, mode, offset, length) == 0 else errno.errorcode[ctypes.get_errno()]
say([punch(4096, (1 << 63) - 1 - 4096), punch(1 << 60, 4096), punch(1 << 60, 4096, 0), punch(0, 1 << 60, 0)])`;
    t.deepEqual(await systemCalls(t, code, dir), [null, null, 'EFBIG', 'EFBIG']);
    t.deepEqual(punched, [[4096, Number.MAX_SAFE_INTEGER - 4096, 3]]);
  },
  noPython,
);

const SEEKING = `
fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
buffer = ctypes.create_string_buffer(4096)
said = []
for offset in (1 << 53, 1 << 62, (1 << 63) - 1):
    os.lseek(fd, offset, os.SEEK_SET)
    said.append(attempt(call, {'x86_64': 217, 'aarch64': 61}[os.uname().machine], fd, buffer, 4096))
say(said)`;

overBoth(
  'a directory has ended at an offset beyond 2^53, also for a loop that reads the offset',
  async (t, transport) => {
    const dir = await mountpoint(t);
    const fs = await mount(dir, { ...UNCACHED, transport });
    const offsets: number[] = [];
    const loop = (async () => {
      for await (const request of fs) {
        if (request.op === 'readdir') {
          offsets.push(request.offset);
          request.reply([]);
        } else if (request.op === 'getattr') {
          request.reply({ attr: { mode: 0o40755 } });
        } else {
          request.fail('ENOSYS');
        }
      }
    })();
    t.teardown(() => fs.destroy());
    t.deepEqual(await systemCalls(t, SEEKING, dir), [0, 0, 0]);
    t.deepEqual(offsets, []);
    await fs.destroy();
    await t.notThrowsAsync(loop);
  },
  noPython,
);

overBoth(
  'a filesystem whose offsets are beyond 2^53 is asked with them',
  async (t, transport) => {
    const offsets: bigint[] = [];
    const { dir } = await mounted(
      t,
      sandbox({
        readdir({ exactOffset }) {
          offsets.push(exactOffset);
          return exactOffset === 0n ? [{ name: 'x', ino: 2, offset: 1n << 62n }] : [];
        },
      }),
      { ...UNCACHED, transport },
    );
    t.deepEqual(await systemCalls(t, 'say(os.listdir(path))', dir), ['x']);
    t.deepEqual(offsets, [0n, 1n << 62n]);
  },
  noPython,
);

const TIMES = `
class Time(ctypes.Structure):
    _fields_ = [('sec', ctypes.c_long), ('nsec', ctypes.c_long)]
said = []
for second in (1 << 53, (1 << 63) - 1, -(1 << 63), (1 << 53) - 1):
    times = (Time * 2)(Time(second, 7), Time(second, 7))
    failed = libc.utimensat(-100, os.fsencode(at('file')), times, 0) < 0
    seen = os.stat(at('file'))
    said.append(errno.errorcode[ctypes.get_errno()] if failed else [int(seen.st_mtime_ns // 10**9), int(seen.st_atime_ns // 10**9)])
say(said)`;

overBoth(
  'a time beyond 2^53 seconds becomes the last that a number is, as ext4 takes its own last',
  async (t, transport) => {
    const { dir, path } = await mounted(t, memory(), { ...memoryMountOptions, transport });
    await systemCalls(t, "open(path, 'w').close()", path('file'));
    const [last, first] = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    t.deepEqual(await systemCalls(t, TIMES, dir), [
      [last, last],
      [last, last],
      [first, first],
      [last, last],
    ]);
  },
  noPython,
);

overBoth(
  'a mirror shows a time beyond 2^53 seconds that a file of its source has, and sets one',
  async (t, transport) => {
    const source = await mkdtemp('/dev/shm/ringfuse-test-');
    t.teardown(() => rm(source, { recursive: true, force: true }));
    await systemCalls(t, "open(at('file'), 'w').close()", source);
    await systemCalls(t, TIMES, source);
    await systemCalls(t, TIMES.replace('(1 << 53) - 1)', '(1 << 60))'), source);
    const dir = await mountpoint(t);
    const fs = await mirror(source);
    const own = await mount(dir, { ...fs.mountOptions, transport });
    const served = serve(own, fs.handlers(own));
    t.teardown(async () => {
      await own.destroy();
      await served;
    });
    t.is(await systemCalls(t, "say(os.stat(at('file')).st_mtime_ns // 10**9)", dir), Number.MAX_SAFE_INTEGER);
    const said = (await systemCalls(t, TIMES, dir)) as readonly unknown[];
    t.true(
      said.every((times) => typeof times !== 'string'),
      JSON.stringify(said),
    );
  },
  noPython,
);

overBoth(
  'locks have bytes up to 2^63 - 1, each its own',
  async (t, transport) => {
    const { dir, path } = await mounted(t, memory({ locks: true }), {
      ...memoryMountOptions,
      transport,
      capabilities: ['POSIX_LOCKS'],
    });
    await systemCalls(t, "open(path, 'w').close()", path('file'));
    const code = `
F_OFD_GETLK, F_OFD_SETLK = 36, 37
one, two = os.open(at('file'), os.O_RDWR), os.open(at('file'), os.O_RDWR)
def lock(fd, command, start, length):
    return fcntl.fcntl(fd, command, struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, start, length, 0))
said = []
for first in (1 << 53, (1 << 53) + 1, (1 << 62) + 1, (1 << 63) - 3):
    lock(one, F_OFD_SETLK, first, 1)
    found = struct.unpack('hhqqi4x', lock(two, F_OFD_GETLK, first - 1, 3))
    said.append([found[2] - first, found[3], attempt(lock, two, F_OFD_SETLK, first, 1),
                 isinstance(attempt(lock, two, F_OFD_SETLK, first + 1, 1), bytes)])
    fcntl.fcntl(one, F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))
    fcntl.fcntl(two, F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))
say(said)`;
    t.deepEqual(
      await systemCalls(t, code, dir),
      Array.from({ length: 4 }, () => [0, 1, 'EAGAIN', true]),
    );
  },
  noPython,
);
