import * as fs from 'node:fs/promises';
import { noPython } from '../support/python.ts';
import { attributesOf, HANDLE, NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { systemCalls } from '../support/system-calls.ts';

const NAMES = ['dir', 'file', 'link', 'other'];

protocolTest(
  'opendir, readdir, fsyncdir and releasedir carry the handle of the open directory',
  [
    { kind: 'operation', name: 'opendir', call: 'open(2) O_DIRECTORY', result: 'a descriptor; EACCES' },
    { kind: 'operation', name: 'readdir', call: 'getdents64(2)', result: 'names and types' },
    { kind: 'operation', name: 'fsyncdir', call: 'fsync(2), fdatasync(2)', result: '0; EIO' },
    { kind: 'operation', name: 'releasedir', call: 'close(2)', result: 'one for each opendir' },
  ],
  async (t, transport) => {
    const { dir, path, of, recorder } = await recording(t, transport, {
      opendir({ ino }) {
        if (ino === NODES.dir) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
        return { fh: HANDLE };
      },
      fsyncdir({ datasync }) {
        if (datasync) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      },
    });
    const entries = await fs.readdir(dir, { withFileTypes: true });
    t.deepEqual(
      entries.map((entry) => [entry.name, entry.isDirectory(), entry.isSymbolicLink()]),
      NAMES.map((name) => [name, name === 'dir', name === 'link']),
    );
    t.like(of('opendir')[0], { op: 'opendir', ino: NODES.root });
    t.like(of('readdir')[0], { op: 'readdir', ino: NODES.root, fh: HANDLE, offset: 0 });
    t.is(of('readdir').at(-1)?.offset, NAMES.length);
    t.true((of('readdir')[0].size as number) >= 4096);
    t.like(await recorder.until('releasedir'), { op: 'releasedir', ino: NODES.root, fh: HANDLE });
    await t.throwsAsync(fs.readdir(path('dir')), { code: 'EACCES' });

    const directory = await fs.open(dir, fs.constants.O_DIRECTORY);
    await directory.sync();
    await t.throwsAsync(directory.datasync(), { code: 'EIO' });
    await directory.close();
    t.deepEqual(of('fsyncdir'), [
      { op: 'fsyncdir', ino: NODES.root, fh: HANDLE, datasync: false },
      { op: 'fsyncdir', ino: NODES.root, fh: HANDLE, datasync: true },
    ]);
    await recorder.until('releasedir', 2);
    t.is(of('releasedir').length, 2);
  },
);

protocolTest(
  'readdirplus looks up what it lists, and a listing goes on after any entry',
  [
    {
      kind: 'operation',
      name: 'readdirplus',
      call: 'getdents64(2), lseek(2)',
      result: 'names; no lookup follows',
    },
    {
      kind: 'capability',
      name: 'DO_READDIRPLUS',
      call: 'getdents64(2), stat(2)',
      result: 'readdirplus, and no lookup after it',
    },
  ],
  async (t, transport) => {
    const names = ['.', '..', ...NAMES];
    const { dir, of, recorder } = await recording(
      t,
      transport,
      {
        *readdirplus({ offset }) {
          for (const [index, name] of [...names.entries()].slice(offset)) {
            const ino = name.startsWith('.') ? NODES.root : NODES[name as keyof typeof NODES];
            yield {
              name,
              ino,
              attr: attributesOf(ino),
              offset: index + 1,
              entryTimeout: 100,
              attrTimeout: 100,
            };
          }
        },
      },
      { capabilities: ['DO_READDIRPLUS'] },
    );
    const said = await systemCalls(
      t,
      `
names = os.listdir(path)
stats = [oct(os.lstat(at(name)).st_mode) for name in sorted(names)]
fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
os.lseek(fd, 4, os.SEEK_SET)
buffer = ctypes.create_string_buffer(4096)
n = call(217, fd, ctypes.addressof(buffer), 4096)
rest, p = [], 0
while p < n:
    ino, off, length, kind = struct.unpack_from('<QqHB', buffer, p)
    rest.append([ino, off, kind, buffer.raw[p + 19:p + length].split(b'\\0')[0]])
    p += length
say([sorted(names), stats, rest])
`,
      dir,
    );
    t.deepEqual(said, [
      NAMES,
      ['0o40755', '0o100644', '0o120777', '0o100644'],
      [
        [NODES.link, 5, 10, 'link'],
        [NODES.other, 6, 8, 'other'],
      ],
    ]);
    t.like(of('readdirplus')[0], { op: 'readdirplus', ino: NODES.root, fh: HANDLE, offset: 0 });
    t.true(of('readdirplus').some(({ offset }) => offset === 4));
    t.deepEqual(of('lookup'), []);
    t.deepEqual(of('readdir'), []);
    t.truthy(recorder);
  },
  { missing: noPython },
);

protocolTest(
  'a directory of many names comes in as many requests as it needs',
  [{ kind: 'operation', name: 'readdir', call: 'getdents64(2) of 5,000 names', result: 'each name once' }],
  async (t, transport) => {
    const count = 5000;
    const { dir, of } = await recording(t, transport, {
      *readdir({ offset }) {
        for (let index = offset; index < count; index++) {
          yield { name: `a name that is long enough ${index}`, ino: index + 10, offset: index + 1 };
        }
      },
    });
    const names = await fs.readdir(dir);
    t.is(names.length, count);
    t.is(new Set(names).size, count);
    t.true(of('readdir').length > 2);
  },
);

protocolTest(
  'READDIRPLUS_AUTO lists with readdirplus at first, and with readdir what nobody asks the attributes of',
  [
    {
      kind: 'capability',
      name: 'READDIRPLUS_AUTO',
      call: 'getdents64(2) of a long directory without stat(2)',
      result: 'readdirplus, then readdir',
    },
  ],
  async (t, transport) => {
    const count = 2000;
    const entry = (index: number) => ({
      name: `a name that is long enough ${index}`,
      ino: index + 10,
      offset: index + 1,
    });
    const { dir, of } = await recording(
      t,
      transport,
      {
        *readdirplus({ offset }) {
          for (let index = offset; index < count; index++)
            yield { ...entry(index), attr: attributesOf(NODES.file) };
        },
        *readdir({ offset }) {
          for (let index = offset; index < count; index++) yield entry(index);
        },
      },
      { capabilities: ['DO_READDIRPLUS', 'READDIRPLUS_AUTO'] },
    );
    t.is((await fs.readdir(dir)).length, count);
    t.is(of('readdirplus').length, 1);
    t.true(of('readdir').length > 1);
  },
);
