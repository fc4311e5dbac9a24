import * as fs from 'node:fs/promises';
import type { Attributes, CreateRequest } from 'ringfuse';
import { noPython } from '../support/python.ts';
import { attributesOf, CONTENTS, HANDLE, NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { systemCalls } from '../support/system-calls.ts';

const setuid: Attributes = { mode: 0o106777, size: CONTENTS.length };

/** Writes and truncates as a user without capabilities. */
const WRITE_AS_USER = `
os.setresgid(66, 66, 66)
os.setresuid(66, 66, 66)
fd = os.open(at('file'), os.O_RDWR)
os.write(fd, b'x')
os.ftruncate(fd, 3)
os.close(fd)
say(None)
`;

protocolTest(
  'set-user-ID bits are taken off by setattr, or with HANDLE_KILLPRIV by the filesystem, which V2 tells when',
  [
    {
      kind: 'capability',
      name: 'HANDLE_KILLPRIV',
      call: 'write(2) to a setuid file',
      result: 'no setattr of the mode',
    },
    {
      kind: 'capability',
      name: 'HANDLE_KILLPRIV_V2',
      call: 'write(2), ftruncate(2) on a setuid file',
      result: 'KILL_SUIDGID on the write and the setattr',
    },
  ],
  async (t, transport) => {
    const modes = async (capability?: 'HANDLE_KILLPRIV' | 'HANDLE_KILLPRIV_V2') => {
      const { dir, of } = await recording(
        t,
        transport,
        {
          lookup: () => ({ ino: NODES.file, attr: setuid }),
          getattr: ({ ino }) => ({ attr: ino === NODES.file ? setuid : attributesOf(ino) }),
          setattr: () => ({ attr: setuid }),
          // `security.capability` is asked for before a write.
          getxattr: () => Promise.reject(Object.assign(new Error('ENODATA'), { code: 'ENODATA' })),
        },
        { allowOther: true, capabilities: capability === undefined ? [] : [capability] },
      );
      await systemCalls(t, WRITE_AS_USER, dir);
      const setattrs = of('setattr');
      return {
        chmods: setattrs.filter(({ attr }) => (attr as { mode?: number }).mode !== undefined).length,
        writeKills: ((of('write')[0].writeFlags as number) & 4) !== 0,
        truncateKills: setattrs.some(
          ({ attr, valid }) =>
            (attr as { size?: number }).size === 3 && ((valid as number) & (1 << 11)) !== 0,
        ),
      };
    };
    const without = await modes();
    t.true(without.chmods > 0);
    t.deepEqual([without.writeKills, without.truncateKills], [false, false]);
    t.deepEqual(await modes('HANDLE_KILLPRIV'), { chmods: 0, writeKills: false, truncateKills: false });
    t.deepEqual(await modes('HANDLE_KILLPRIV_V2'), { chmods: 0, writeKills: true, truncateKills: true });
  },
  { missing: noPython },
);

protocolTest(
  'POSIX_ACL lets the kernel check access control lists that it asks for as extended attributes',
  [
    {
      kind: 'capability',
      name: 'POSIX_ACL',
      call: 'open(2) by another user',
      result: 'the ACL decides: 0 or EACCES',
    },
  ],
  async (t, transport) => {
    const acl = (permissions: number): Buffer => {
      const entries = [
        [0x01, 6, 0xffff_ffff],
        [0x02, permissions, 66],
        [0x04, 0, 0xffff_ffff],
        [0x10, 7, 0xffff_ffff],
        [0x20, 0, 0xffff_ffff],
      ];
      const bytes = Buffer.alloc(4 + entries.length * 8);
      bytes.writeUInt32LE(2);
      for (const [index, [tag, bits, id]] of entries.entries()) {
        bytes.writeUInt16LE(tag, 4 + index * 8);
        bytes.writeUInt16LE(bits, 6 + index * 8);
        bytes.writeUInt32LE(id, 8 + index * 8);
      }
      return bytes;
    };
    const file: Attributes = { mode: 0o100670, size: CONTENTS.length };
    const { dir, of } = await recording(
      t,
      transport,
      {
        lookup: ({ name }) => ({ ino: name === 'file' ? NODES.file : NODES.other, attr: file }),
        getattr: ({ ino }) => ({ attr: ino === NODES.root ? attributesOf(ino) : file }),
        getxattr({ name, ino }) {
          if (name !== 'system.posix_acl_access' || ino === NODES.root)
            throw Object.assign(new Error('ENODATA'), { code: 'ENODATA' });
          return acl(ino === NODES.file ? 4 : 0);
        },
      },
      { capabilities: ['POSIX_ACL'], defaultPermissions: true, allowOther: true },
    );
    const said = await systemCalls(
      t,
      `
os.setresgid(66, 66, 66)
os.setresuid(66, 66, 66)
def opens(name):
    fd = attempt(os.open, at(name), os.O_RDONLY)
    return fd if isinstance(fd, str) else os.read(fd, 4)
say([opens('file'), opens('other')])
`,
      dir,
    );
    t.deepEqual(said, ['0123', 'EACCES']);
    t.true(of('getxattr').some(({ name }) => name === 'system.posix_acl_access'));
  },
  { missing: noPython },
);

const CREATE = `
os.setgroups([4242, 555])
os.setresgid(66, 66, 66)
os.setresuid(66, 66, 66)
os.close(os.open(at('dir/new'), os.O_CREAT | os.O_WRONLY))
say(None)
`;

protocolTest(
  'CREATE_SUPP_GROUP names the group of the directory if the caller is in it',
  [
    {
      kind: 'capability',
      name: 'CREATE_SUPP_GROUP',
      call: 'setgroups(2), open(2) O_CREAT',
      result: 'the group',
    },
  ],
  async (t, transport) => {
    const groups: number[][] = [];
    const directory: Attributes = { mode: 0o42777, nlink: 2, gid: 555 };
    const { dir } = await recording(
      t,
      transport,
      {
        lookup: ({ name }) => (name === 'dir' ? { ino: NODES.dir, attr: directory } : null),
        getattr: ({ ino }) => ({ attr: ino === NODES.dir ? directory : attributesOf(ino) }),
        create(request: CreateRequest) {
          groups.push(request.supplementaryGroups);
          return { ino: NODES.made, attr: { mode: request.mode }, fh: HANDLE };
        },
      },
      { capabilities: ['CREATE_SUPP_GROUP'], allowOther: true },
    );
    await systemCalls(t, CREATE, dir);
    t.deepEqual(groups, [[555]]);
  },
  { missing: noPython },
);

protocolTest(
  'SECURITY_CTX is agreed on; without a security module no context is sent',
  [
    {
      kind: 'capability',
      name: 'SECURITY_CTX',
      call: 'open(2) O_CREAT',
      result: 'agreed on; none sent where no security module labels files',
    },
  ],
  async (t, transport) => {
    const contexts: unknown[] = [];
    const { path, mount } = await recording(
      t,
      transport,
      {
        create(request) {
          contexts.push(request.securityContexts);
          return { ino: NODES.made, attr: { mode: request.mode }, fh: HANDLE };
        },
      },
      { capabilities: ['SECURITY_CTX'] },
    );
    await (await fs.open(path('new'), 'wx')).close();
    t.true(mount.capabilities.includes('SECURITY_CTX'));
    t.is(contexts.length, 1);
    if (!(await fs.readFile('/proc/self/attr/current', 'utf8').catch(() => ''))) t.deepEqual(contexts, [[]]);
  },
);

protocolTest(
  'ALLOW_IDMAP serves an idmapped mount: owners are mapped on both ways',
  [
    {
      kind: 'capability',
      name: 'ALLOW_IDMAP',
      call: 'mount_setattr(2), stat(2), mkdir(2)',
      result: 'mapped owners; the mapped uid in the request',
    },
  ],
  async (t, transport) => {
    const { dir, recorder } = await recording(
      t,
      transport,
      { mkdir: ({ mode, uid }) => ({ ino: NODES.made, attr: { mode: 0o40000 | mode, uid } }) },
      { capabilities: ['ALLOW_IDMAP'], defaultPermissions: true, allowOther: true },
    );
    const said = await systemCalls(
      t,
      `
CLONE_NEWUSER = 0x10000000
ready, done = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    libc.unshare(CLONE_NEWUSER)
    os.write(ready[1], b'x')
    os.read(done[0], 1)
    os._exit(0)
os.read(ready[0], 1)
for kind in ('uid_map', 'gid_map'):
    with open('/proc/%d/%s' % (pid, kind), 'w') as map:
        map.write('0 1000 100')
userns = os.open('/proc/%d/ns/user' % pid, os.O_RDONLY)
tree = call(428, -100, path.encode(), 1 | 0o2000000)
attr = ctypes.create_string_buffer(struct.pack('QQQQ', 0x100000, 0, 0, userns))
result = attempt(call, 442, tree, b'', 0x1000, ctypes.addressof(attr), 32)
seen = None
if result == 0:
    seen = os.stat('file', dir_fd=tree).st_uid
    os.setresgid(1000, 1000, 1000)
    os.setresuid(1000, 1000, 1000)
    seen = [seen, attempt(os.mkdir, 'dir/new', dir_fd=tree)]
os.write(done[1], b'x')
say([result, seen])
`,
      dir,
    );
    t.deepEqual(said, [0, [1000, null]]);
    t.like(recorder.callers('mkdir')[0], { uid: 0, gid: 0 });
  },
  { missing: noPython },
);
