/** Callers that send what nobody else would: they get an answer, and others do not wait longer for theirs. */

import type { ExecutionContext } from 'ava';
import { decodeName, encodeName, type Handlers } from 'ringfuse';
import { cat, stat } from '../support/callers.ts';
import { ANSWERED, type Fault, faultTest } from '../support/faults.ts';
import { mounted } from '../support/mounted.ts';
import { noPython } from '../support/python.ts';
import { sandbox, UNCACHED } from '../support/sandbox.ts';
import { systemCalls } from '../support/system-calls.ts';

const fault = (name: string, within: number, ...callers: readonly string[]): Fault => ({
  kind: 'caller',
  name,
  callers,
  within,
  left: 'the mount',
});

const needs = { missing: noPython };

/** Runs a Python program on a mount; resolves to the errno's name that it said, if it said one. */
async function calling(t: ExecutionContext, dir: string, code: string): Promise<{ code?: string }> {
  const said = await systemCalls(t, code, dir);
  return typeof said === 'string' ? { code: said } : {};
}

faultTest(
  fault('names of 256 and 4000 bytes that are not UTF-8, in every call that takes one', 5000, 'ENAMETOOLONG'),
  async (t, transport, watch) => {
    const names: string[] = [];
    const lookup: Handlers['lookup'] = ({ name }) => {
      names.push(name);
      return null;
    };
    const { dir } = await mounted(t, sandbox({ lookup }), { ...UNCACHED, transport });
    const code = `
dir = os.fsencode(path)
seen = set()
for length in (256, 4000):
    name = dir + b'/' + b'\\xff' * length
    for function in (os.lstat, os.mkdir, os.rmdir, os.unlink, os.mkfifo, os.readlink, os.listxattr,
                     lambda name: os.open(name, os.O_CREAT | os.O_WRONLY), lambda name: os.symlink(b'x', name)):
        seen.add(attempt(function, name))
say(seen.pop() if len(seen) == 1 else repr(seen))`;
    watch.begin();
    await watch.see(calling(t, dir, code));
    t.deepEqual(names, []);
    await watch.left(dir);
  },
  needs,
);

/** How much more a byte that is not UTF-8 may cost than a letter, in a request as a whole. */
const FACTOR = 5;
const LOOKUPS = 1500;

faultTest(
  fault('a flood of names of 255 bytes that are not UTF-8', 60_000, ANSWERED),
  async (t, transport, watch) => {
    // A name that is read costs a decoding, and one that is kept an encoding.
    const lookup: Handlers['lookup'] = ({ name, nameBytes }) => {
      if (!encodeName(name).equals(nameBytes)) t.fail('a name lost bytes');
      return null;
    };
    const { dir, path } = await mounted(t, sandbox({ lookup }), {
      ...UNCACHED,
      transport,
      polling: { look: 0 },
    });
    const flood = async (byte: string): Promise<number> => {
      const code = `
name = os.fsencode(path) + b'/' + b'${byte}' * 252
for index in range(${LOOKUPS}):
    attempt(os.lstat, name + b'%03d' % (index % 1000))`;
      const before = process.cpuUsage();
      await systemCalls(t, code, dir);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    watch.begin();
    await flood('a');
    const ratios: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const honest = await flood('a');
      ratios.push((await flood('\\xff')) / honest);
    }
    t.log(`CPU time of the server, ratios to letters: ${ratios.map((ratio) => ratio.toFixed(2)).join(', ')}`);
    t.true(Math.min(...ratios) < FACTOR);
    await watch.see(stat(path()).ended);
    await watch.left(dir);
  },
  needs,
);

faultTest(
  fault('names and link targets with every byte that they can have', 10_000, ANSWERED),
  async (t, transport, watch) => {
    const names: string[] = [];
    const targets: string[] = [];
    const attr = { mode: 0o120777 };
    const { dir, path } = await mounted(
      t,
      sandbox({
        lookup: () => null,
        symlink({ name, target }) {
          names.push(name);
          targets.push(target);
          return { ino: 100 + names.length, attr };
        },
        readlink: ({ ino }) => targets[ino - 101],
        readdir: ({ offset }) =>
          names.map((name, index) => ({ name, ino: 101 + index, offset: index + 1 })).slice(offset),
      }),
      { transport },
    );
    const code = `
dir = os.fsencode(path) + b'/'
made = [bytes([b]) * n for b in range(1, 256) if b != 47 for n in (3, 255)]
made += [bytes([a, b, 0x80, 0x80]) for a in (0xc1, 0xc3, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5) for b in range(1, 256) if b != 47]
target = lambda name: (name * 4095)[:4095]
for name in made:
    os.symlink(target(name), dir + name)
    if os.readlink(dir + name) != target(name): say('EILSEQ')
say(None if set(os.listdir(dir)) == set(made) else 'ENOENT')`;
    watch.begin();
    await watch.see(calling(t, dir, code), stat(path()).ended);
    t.is(new Set(names).size, names.length);
    t.true(names.every((name) => decodeName(encodeName(name)) === name));
    await watch.left(dir);
  },
  needs,
);

faultTest(
  fault('extended attributes of 64 KiB, and lists of names of 64 KiB that are not UTF-8', 10_000, ANSWERED),
  async (t, transport, watch) => {
    const values = new Map<string, Buffer>();
    const { dir, path } = await mounted(
      t,
      sandbox({
        setxattr: ({ name, value }) => void values.set(name, Buffer.from(value)),
        getxattr: ({ name }) => values.get(name) ?? null,
        listxattr: () => values.keys(),
      }),
      { ...UNCACHED, transport, onError: (error) => t.fail(String(error)) },
    );
    const code = `
file = os.fsencode(at('file'))
value = os.urandom(65536)
names = [b'user.' + b'\\xff' * 247 + b'%03d' % index for index in range(256)]
os.setxattr(file, names[0], value)
assert os.getxattr(file, names[0]) == value
for name in names[1:]: os.setxattr(file, name, b'')
assert sorted(os.fsencode(name) for name in os.listxattr(file)) == names
os.setxattr(file, b'user.more', b'')
# The list is longer than Linux passes on to anybody.
said = attempt(os.listxattr, file)
say(None if said == 'E2BIG' else repr(said))`;
    watch.begin();
    await watch.see(calling(t, dir, code), cat(path('file')).ended);
    await watch.left(dir);
  },
  needs,
);

faultTest(
  fault(
    'a list of extended attributes that grows between the call for its size and the call for it',
    10_000,
    'ERANGE',
  ),
  async (t, transport, watch) => {
    const names: string[] = [];
    const listxattr: Handlers['listxattr'] = () => {
      names.push(`user.${names.length}`);
      return names;
    };
    const { dir } = await mounted(t, sandbox({ listxattr }), { ...UNCACHED, transport });
    const code = `
file = os.fsencode(at('file'))
size = libc.listxattr(file, None, 0)
buffer = ctypes.create_string_buffer(size)
say(errno.errorcode[ctypes.get_errno()] if libc.listxattr(file, buffer, size) < 0 else None)`;
    watch.begin();
    await watch.see(calling(t, dir, code));
    await watch.left(dir);
  },
  needs,
);

faultTest(
  fault('a path of 4095 bytes, and one of 4096', 10_000, ANSWERED, 'ENAMETOOLONG'),
  async (t, transport, watch) => {
    const directory = { mode: 0o40755, nlink: 2 };
    const { dir } = await mounted(
      t,
      sandbox({
        lookup: ({ parent, name }) => (name === 'd' ? { ino: parent + 1, attr: directory } : null),
        getattr: () => ({ attr: directory }),
      }),
      { ...UNCACHED, transport },
    );
    const deep = (length: number): string => `
deep = os.fsencode(path) + b'/d' * 4096
said = attempt(os.stat, deep[:${length}].rstrip(b'/') + (b'' if deep[:${length}][-1:] != b'/' else b'/'))
say(said if isinstance(said, str) else None)`;
    watch.begin();
    await watch.see(calling(t, dir, deep(4095)), calling(t, dir, deep(4096)));
    await watch.left(dir);
  },
  needs,
);

const OPEN_FILES = 100_000;

faultTest(
  { ...fault('100,000 files that callers hold open', 120_000, ANSWERED), kind: 'load' },
  async (t, transport, watch) => {
    let opened = 0;
    const open = new Set<number>();
    const { dir, path } = await mounted(
      t,
      sandbox({
        open() {
          opened += 1;
          open.add(opened);
          return { fh: opened };
        },
        release: ({ fh }) => void open.delete(fh),
      }),
      { transport },
    );
    const code = `
import resource
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
begin, end = os.pipe(), os.pipe()
each = min(most - 64, 10000)
holders = -(-${OPEN_FILES} // each)
for holder in range(holders):
    if os.fork() == 0:
        files = [os.open(at('file'), os.O_RDONLY) for index in range(each)]
        assert os.pread(files[-1], 3, 0) == b'the'
        os.write(begin[1], b'x')
        os.close(end[1])
        os._exit(0 if os.read(end[0], 1) == b'' else 1)
for holder in range(holders): os.read(begin[0], 1)
os.close(end[1])
say(None if all(os.wait()[1] == 0 for holder in range(holders)) else 'EMFILE')`;
    watch.begin();
    await watch.see(calling(t, dir, code), cat(path('file')).ended);
    while (open.size > 0)
      await watch.inTime('every release', new Promise((resolve) => setTimeout(resolve, 20)));
    t.true(opened > OPEN_FILES);
    await watch.left(dir);
  },
  needs,
);
