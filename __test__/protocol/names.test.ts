import * as fs from 'node:fs/promises';
import { noPython } from '../support/python.ts';
import { attributesOf, NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { systemCalls } from '../support/system-calls.ts';

const made = (mode: number) => ({ ino: NODES.made, attr: { mode } });

protocolTest(
  'lookup has the directory and the name, whatever its bytes',
  [{ kind: 'operation', name: 'lookup', call: 'stat(2)', result: 'attributes, or ENOENT' }],
  async (t, transport) => {
    const { path, of, dir } = await recording(t, transport, {
      lookup: ({ name }) =>
        name === 'dir'
          ? { ino: NODES.dir, attr: attributesOf(NODES.dir) }
          : name === 'file'
            ? {
                ino: NODES.file,
                generation: 3,
                attr: {
                  mode: 0o102755,
                  size: 2 ** 40 + 1,
                  blocks: 9,
                  nlink: 3,
                  uid: 4_000_000_000,
                  gid: 5,
                  blksize: 512,
                  ino: 0xffff_ffff_ffff_fff0n,
                },
              }
            : null,
    });
    const stats = await fs.stat(path('dir/file'), { bigint: true });
    t.deepEqual(of('lookup'), [
      { op: 'lookup', parent: NODES.root, name: 'dir' },
      { op: 'lookup', parent: NODES.dir, name: 'file' },
    ]);
    t.deepEqual(
      [
        stats.mode,
        stats.size,
        stats.blocks,
        stats.nlink,
        stats.uid,
        stats.gid,
        stats.blksize,
        BigInt.asUintN(64, stats.ino),
      ],
      [0o102755n, 2n ** 40n + 1n, 9n, 3n, 4_000_000_000n, 5n, 512n, 0xffff_ffff_ffff_fff0n],
    );
    await t.throwsAsync(fs.stat(path('café')), { code: 'ENOENT' });
    t.like(of('lookup').at(-1), { parent: NODES.root, name: 'café' });
    const bytes = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0x61, 0xff, 0xc3])]);
    await t.throwsAsync(fs.stat(bytes), { code: 'ENOENT' });
    t.like(of('lookup').at(-1), { name: 'a\udcff\udcc3' });
  },
);

protocolTest(
  'mkdir, symlink, link, unlink, rmdir and rename have directories and names',
  [
    { kind: 'operation', name: 'mkdir', call: 'mkdir(2)', result: 'a directory; EEXIST' },
    { kind: 'operation', name: 'symlink', call: 'symlink(2)', result: 'a link' },
    { kind: 'operation', name: 'link', call: 'link(2)', result: 'a second name' },
    { kind: 'operation', name: 'unlink', call: 'unlink(2)', result: '0; EPERM' },
    { kind: 'operation', name: 'rmdir', call: 'rmdir(2)', result: '0; ENOTEMPTY' },
    { kind: 'operation', name: 'rename', call: 'rename(2)', result: '0' },
    { kind: 'operation', name: 'readlink', call: 'readlink(2)', result: 'the target' },
  ],
  async (t, transport) => {
    const refused = new Set<string>();
    const refuse = (name: string, code: string) => {
      if (refused.has(name)) throw Object.assign(new Error(code), { code });
    };
    const { path, of } = await recording(t, transport, {
      mkdir: ({ mode }) => made(0o40000 | mode),
      symlink: () => made(0o120777),
      link: () => ({ ino: NODES.file, attr: { ...attributesOf(NODES.file), nlink: 2 } }),
      unlink: ({ name }) => refuse(name, 'EPERM'),
      rmdir: ({ name }) => refuse(name, 'ENOTEMPTY'),
      rename: () => undefined,
    });
    await fs.mkdir(path('dir/new'), 0o1750);
    t.deepEqual(of('mkdir')[0], {
      op: 'mkdir',
      parent: NODES.dir,
      name: 'new',
      mode: 0o1750 & ~process.umask(),
      umask: process.umask(),
    });
    await t.throwsAsync(fs.mkdir(path('dir')), { code: 'EEXIST' });
    t.is(of('mkdir').length, 1);

    await fs.symlink('../somewhere else', path('dir/pointer'));
    t.deepEqual(of('symlink'), [
      { op: 'symlink', parent: NODES.dir, name: 'pointer', target: '../somewhere else' },
    ]);
    t.is(await fs.readlink(path('link')), 'file');
    t.deepEqual(of('readlink'), [{ op: 'readlink', ino: NODES.link }]);

    await fs.link(path('file'), path('dir/again'));
    t.deepEqual(of('link'), [{ op: 'link', ino: NODES.file, newParent: NODES.dir, newName: 'again' }]);
    t.is((await fs.stat(path('file'))).nlink, 2);

    await fs.unlink(path('other'));
    t.deepEqual(of('unlink'), [{ op: 'unlink', parent: NODES.root, name: 'other' }]);
    refused.add('file').add('dir');
    await t.throwsAsync(fs.unlink(path('file')), { code: 'EPERM' });
    await t.throwsAsync(fs.rmdir(path('dir')), { code: 'ENOTEMPTY' });
    t.deepEqual(of('rmdir'), [{ op: 'rmdir', parent: NODES.root, name: 'dir' }]);

    await fs.rename(path('file'), path('dir/moved'));
    t.deepEqual(of('rename'), [
      { op: 'rename', parent: NODES.root, name: 'file', newParent: NODES.dir, newName: 'moved' },
    ]);
    t.deepEqual(of('rename2'), []);
  },
);

protocolTest(
  'mknod makes FIFOs, sockets and devices with their numbers',
  [{ kind: 'operation', name: 'mknod', call: 'mknod(2)', result: 'a FIFO; a device of 32-bit number' }],
  async (t, transport) => {
    const { dir, of } = await recording(t, transport, {
      mknod: ({ mode, rdev }) => ({ ino: NODES.made, attr: { mode, rdev } }),
    });
    const [type, major, minor] = (await systemCalls(
      t,
      `
os.umask(0o027)
os.mknod(at('dir/fifo'), stat.S_IFIFO | 0o666)
os.mknod(at('device'), stat.S_IFCHR | 0o600, os.makedev(0xabc, 0x54321))
s = os.stat(at('device'))
say([stat.S_IFMT(s.st_mode), os.major(s.st_rdev), os.minor(s.st_rdev)])
`,
      dir,
    )) as number[];
    t.deepEqual(of('mknod'), [
      { op: 'mknod', parent: NODES.dir, name: 'fifo', mode: 0o10640, rdev: 0, umask: 0o027 },
      // 12 bits of major between the 8 low and the 12 high bits of minor.
      { op: 'mknod', parent: NODES.root, name: 'device', mode: 0o20600, rdev: 0x543abc21, umask: 0o027 },
    ]);
    t.deepEqual([type, major, minor], [0o20000, 0xabc, 0x54321]);
  },
  { missing: noPython },
);

protocolTest(
  'renameat2 has its flags; without any it is a rename',
  [
    {
      kind: 'operation',
      name: 'rename2',
      call: 'renameat2(2) NOREPLACE, EXCHANGE, WHITEOUT',
      result: '0; EINVAL without a handler',
    },
  ],
  async (t, transport) => {
    const { dir, of } = await recording(t, transport, {
      rename: () => undefined,
      rename2: () => undefined,
    });
    const program = `
def renameat2(old, new, flags):
    return attempt(call, 316, -100, at(old).encode(), -100, at(new).encode(), flags)
say([renameat2('file', 'dir/new', 1), renameat2('file', 'other', 2), renameat2('file', 'dir/new', 4),
     renameat2('file', 'dir/new', 0), renameat2('file', 'other', 1), renameat2('file', 'other', 3)])
`;
    t.deepEqual(await systemCalls(t, program, dir), [0, 0, 0, 0, 'EEXIST', 'EINVAL']);
    const moved = { op: 'rename2', parent: NODES.root, name: 'file', newParent: NODES.dir, newName: 'new' };
    t.deepEqual(of('rename2'), [
      { ...moved, flags: 1 },
      { ...moved, newParent: NODES.root, newName: 'other', flags: 2 },
      { ...moved, flags: 4 },
    ]);
    t.is(of('rename').length, 1);
    const without = await recording(t, transport);
    t.deepEqual(((await systemCalls(t, program, without.dir)) as unknown[]).slice(0, 3), [
      'EINVAL',
      'EINVAL',
      'EINVAL',
    ]);
  },
  { missing: noPython },
);

// mkdir(2) asks for a name that it knows is not there all the same.
for (const [entryTimeout, lookups] of [
  [1000, 2],
  [0, 4],
] as const) {
  protocolTest(
    `a name that is not there is kept for the mount's entryTimeout: ${entryTimeout}`,
    [],
    async (t, transport) => {
      let made = false;
      const { path, of } = await recording(
        t,
        transport,
        {
          lookup: () => (made ? { ino: NODES.dir, attr: attributesOf(NODES.dir) } : { ino: 0 }),
          mkdir: () => {
            made = true;
            return { ino: NODES.dir, attr: attributesOf(NODES.dir) };
          },
        },
        { entryTimeout, attrTimeout: 1000 },
      );
      for (let time = 0; time < 2; time++) await t.throwsAsync(fs.stat(path('new')), { code: 'ENOENT' });
      await fs.mkdir(path('new'));
      t.true((await fs.stat(path('new'))).isDirectory());
      const asked = of('lookup').length;
      t.is(asked, lookups);
    },
  );
}

protocolTest(
  'forget takes lookups back, one by one or in batches',
  [{ kind: 'operation', name: 'forget', call: 'stat(2), unlink(2)', result: 'every lookup taken back' }],
  async (t, transport) => {
    const count = 40;
    const { path, recorder, mount } = await recording(
      t,
      transport,
      {
        lookup: ({ name }) => ({ ino: 100 + Number(name), attr: attributesOf(NODES.file) }),
        unlink: () => undefined,
      },
      { entryTimeout: 0 },
    );
    await Promise.all(Array.from({ length: count }, (_, index) => fs.stat(path(String(index)))));
    await Promise.all(Array.from({ length: count }, (_, index) => fs.stat(path(String(index)))));
    const looked = recorder.of('lookup').length;
    t.true(looked >= 2 * count);
    await mount.notify.prune(Array.from({ length: count }, (_, index) => 100 + index));
    await Promise.all(Array.from({ length: count }, (_, index) => fs.unlink(path(String(index)))));
    const forgotten = (): number =>
      recorder
        .of('forget')
        .flatMap(({ forgets }) => forgets as { ino: number; nlookup: number }[])
        .reduce((sum, { nlookup }) => sum + nlookup, 0);
    const lookups = (): number => recorder.of('lookup').length;
    while (forgotten() < lookups()) await recorder.until('forget', recorder.of('forget').length + 1);
    t.is(forgotten(), lookups());
    const inos = new Set(
      recorder.of('forget').flatMap(({ forgets }) => (forgets as { ino: number }[]).map(({ ino }) => ino)),
    );
    t.deepEqual([...inos].sort(), Array.from({ length: count }, (_, index) => 100 + index).sort());
  },
);
