/** The flags of an open file that its caller may change with `fcntl(2)`: the present ones count. */

import { type MirrorOptions, mirror } from '@ringfuse/fs';
import type { ExecutionContext } from 'ava';
import { mount } from 'ringfuse';
import { directory, mirrored } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { programTest } from './support/programs.ts';
import { sources, sourcesObstacle } from './support/sources.ts';
import { systemCalls } from './support/system-calls.ts';
import { transport } from './support/transports.ts';

type Way = (t: ExecutionContext, source: string) => Promise<string>;

const alone =
  (options: MirrorOptions): Way =>
  async (t, source) =>
    (await mirrored(t, options, {}, { source })).dir;

/** A mirror of `source` that worker threads serve. */
const byWorkers =
  (options: MirrorOptions): Way =>
  async (t, source) => {
    const dir = await mountpoint(t);
    const it = mirror(source, options);
    const fs = await mount(dir, {
      ...it.mountOptions,
      allowOther: true,
      transport,
      workers: it.workers({ count: 2 }),
    });
    t.teardown(async () => {
      await fs.destroy();
      it.close();
    });
    return dir;
  };

const ways: Readonly<Record<string, Way>> = {
  'with passthrough': alone({}),
  'without passthrough': alone({ passthrough: false }),
  'with file handles': alone({ descriptors: 0 }),
  'with write-back cache': alone({ writeback: true }),
  'with nothing cached': alone({ directIo: true, timeout: 0 }),
  'by workers': byWorkers({}),
  'by workers without passthrough': byWorkers({ passthrough: false }),
};

/**
 * What is written here is what anybody reads afterwards. Sizes and places of direct I/O are whole blocks while the flag
 * is set, as ext4 wants.
 */
const CALLS = `
import hashlib, mmap
O_DIRECT, O_DSYNC = os.O_DIRECT, os.O_DSYNC
seen = []
def see(title, function, *args, **named):
    seen.append([title, attempt(function, *args, **named)])
def contents(name):
    fd = os.open(at(name), os.O_RDONLY)
    try: data = os.pread(fd, 1 << 20, 0)
    finally: os.close(fd)
    return [len(data), data.decode('latin-1') if len(data) < 200 else hashlib.md5(data).hexdigest()]
def fresh(name, data=b'0123456789X'):
    fd = os.open(at(name), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644); os.write(fd, data); os.close(fd)
    return at(name)
def blocks(data):
    memory = mmap.mmap(-1, (len(data) + 4095) // 4096 * 4096)
    memory.write(data)
    return memoryview(memory)[:len(data)]
def set_flags(fd, add=0, remove=0):
    fcntl.fcntl(fd, fcntl.F_SETFL, (fcntl.fcntl(fd, fcntl.F_GETFL) | add) & ~remove)
def mapped(fd, place, data):
    with mmap.mmap(fd, 0) as memory:
        memory[place:place + len(data)] = data
        memory.flush()

for create in (0, os.O_CREAT):
    name = 'cleared' if create else 'cleared of a file that was there'
    if not create: fresh(name, b'')
    fd = os.open(at(name), os.O_RDWR | os.O_APPEND | create)
    see(name, os.write, fd, b'0123456789')
    see(name, os.pwrite, fd, b'X', 0)
    set_flags(fd, remove=os.O_APPEND)
    see(name, os.pwrite, fd, b'Y', 2)
    see(name, contents, name)
    set_flags(fd, add=os.O_APPEND)
    see(name, os.pwrite, fd, b'Z', 3)
    see(name, contents, name)
    os.close(fd)

fd = os.open(fresh('set'), os.O_RDWR)
set_flags(fd, add=os.O_APPEND)
see('set', os.pwrite, fd, b'end', 0)
see('set', contents, 'set')
os.close(fd)

fresh("two append")
two = [os.open(at('two append'), os.O_WRONLY | os.O_APPEND) for _ in range(2)]
for n in range(20): os.write(two[n % 2], b'%d,' % n)
for fd in two: os.close(fd)
see('two append', contents, 'two append')

for name, flags in (('mapping', 0), ('mapping of a file that was there', os.O_APPEND)):
    fd = os.open(fresh(name, b'') if flags else at(name), os.O_RDWR | os.O_CREAT | os.O_APPEND)
    see(name, os.write, fd, b'.' * 8192)
    mapped(fd, 0, b'HELLO')
    see(name, contents, name)
    see(name, os.write, fd, b'end')
    see(name, contents, name)
    os.close(fd)

fd = os.open(at('direct'), os.O_RDWR | os.O_CREAT | O_DIRECT)
see('direct', os.writev, fd, [blocks(b'd' * 4096)])
set_flags(fd, remove=O_DIRECT)
see('direct', os.write, fd, b'tail')
see('direct', os.pread, fd, 10, 4090)
see('direct', contents, 'direct')
set_flags(fd, add=O_DIRECT)
see('direct', os.pwritev, fd, [blocks(b'D' * 4096)], 4096)
see('direct', os.preadv, fd, [blocks(bytes(4096))], 4096)
see('direct', contents, 'direct')
os.close(fd)

# The write-back cache writes by whichever descriptor there is.
for direct in (O_DIRECT, O_DIRECT | os.O_APPEND, os.O_APPEND):
    for first in (True, False):
        name = 'other %x %d' % (direct, first)
        fresh(name, b'')
        if first: other = os.open(at(name), os.O_RDWR | direct)
        fd = os.open(at(name), os.O_WRONLY)
        if not first: other = os.open(at(name), os.O_RDWR | direct)
        see(name, os.write, fd, b'twenty-eight bytes of a file')
        see(name, os.fsync, fd)
        see(name, os.pwrite, fd, b'T', 0)
        os.close(fd)
        see(name, os.fsync, other)
        os.close(other)
        see(name, contents, name)

fd = os.open(fresh('per call'), os.O_RDWR)
see('per call', os.pwritev, fd, [b'appended'], 0, 0x10)  # RWF_APPEND
see('per call', os.pwritev, fd, [b'synced'], 0, os.RWF_DSYNC)
see('per call', contents, 'per call')
os.close(fd)
for name, flags in (('O_DSYNC', O_DSYNC), ('O_SYNC', os.O_SYNC), ('O_NONBLOCK', os.O_NONBLOCK), ('O_NOATIME', os.O_NOATIME)):
    fd = os.open(fresh(name), os.O_RDWR | flags)
    see(name, os.pwrite, fd, b'Y', 1)
    see(name, os.pread, fd, 3, 0)
    set_flags(fd, os.O_NONBLOCK | os.O_NOATIME)
    see(name, os.pread, fd, 3, 0)
    set_flags(fd, remove=os.O_NONBLOCK | os.O_NOATIME)
    see(name, os.pread, fd, 3, 0)
    see(name, os.pwrite, fd, b'Z', 2)
    see(name, contents, name)
    os.close(fd)
say(seen)
`;

for (const [kind, source] of Object.entries(sources)) {
  for (const [way, serve] of Object.entries(ways)) {
    programTest(
      `reads and writes follow the present flags of the open file, on ${kind}, ${way}`,
      ['python3'],
      async (t) => {
        const expected = (await systemCalls(t, CALLS, await directory(t))) as unknown[];
        t.true(expected.length > 60);
        const beneath = await source(t);
        const dir = await serve(t, beneath);
        t.deepEqual(await systemCalls(t, CALLS, dir), expected);
        const both = (await systemCalls(t, CONTENTS, dir, beneath)) as unknown[];
        t.deepEqual(both[0], both[1]);
      },
      sourcesObstacle,
    );
  }
}

/** What the mirror and its source hold at the end. */
const CONTENTS = `
say([[[name, open(os.path.join(tree, name)).read()] for name in sorted(os.listdir(tree))] for tree in sys.argv[1:3]])
`;

for (const [way, serve] of Object.entries(ways)) {
  programTest(
    `dd writes a last part of a block directly to a mirror, ${way}`,
    ['python3', 'dd'],
    async (t) => {
      const dir = await serve(t, await directory(t));
      const code = `
import subprocess
made = subprocess.run(['dd', 'if=/dev/urandom', 'of=' + at('x'), 'bs=4096', 'oflag=direct', 'iflag=fullblock,count_bytes',
                       'count=5000', 'status=none'], capture_output=True, text=True)
say([made.returncode, made.stderr, os.stat(at('x')).st_size])
`;
      t.deepEqual(await systemCalls(t, code, dir), [0, '', 5000]);
    },
  );

  // With a write-back cache nobody else may write to the source.
  if (way === 'with write-back cache') continue;
  programTest(
    `what is appended directly in the source is not overwritten by appending, ${way}`,
    ['python3'],
    async (t) => {
      const source = await directory(t);
      const dir = await serve(t, source);
      const code = `
fds = [os.open(os.path.join(tree, 'log'), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) for tree in sys.argv[1:3]]
for n in range(20): os.write(fds[n % 2], b'%d,' % n)
say(open(os.path.join(sys.argv[2], 'log')).read())
`;
      const expected = Array.from({ length: 20 }, (_, n) => `${n},`).join('');
      t.is(await systemCalls(t, code, dir, source), expected);
    },
  );
}

/** Only root may make a file append-only. */
const APPEND_ONLY = `
import subprocess
os.close(os.open(at('log'), os.O_WRONLY | os.O_CREAT, 0o644))
subprocess.run(['chattr', '+a', at('log')], check=True)
seen = []
try:
    for n in range(3):
        fd = os.open(at('log'), os.O_WRONLY | os.O_APPEND)
        seen += [attempt(os.write, fd, b'%d,' % n), attempt(os.write, fd, b'again,'), attempt(os.fsync, fd)]
        os.close(fd)
    fd = os.open(at('log'), os.O_WRONLY | os.O_APPEND)
    seen += [attempt(os.write, fd, b'last'), attempt(os.pread, fd, 100, 0)]
    os.close(fd)
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND | os.O_TRUNC):
        seen.append(attempt(os.open, at('log'), flags))
    seen += [attempt(os.truncate, at('log'), 0), open(at('log')).read()]
finally:
    subprocess.run(['chattr', '-a', at('log')])
say(seen)
`;

for (const [way, serve] of Object.entries(ways)) {
  programTest(
    `an append-only file takes what is appended and nothing else, ${way}`,
    ['python3', 'chattr'],
    async (t) => {
      const expected = (await systemCalls(t, APPEND_ONLY, await directory(t))) as unknown[];
      t.is(expected.at(-1), '0,again,1,again,2,again,last');
      const dir = await serve(t, await directory(t));
      t.deepEqual(await systemCalls(t, APPEND_ONLY, dir), expected);
    },
    sourcesObstacle,
  );
}
