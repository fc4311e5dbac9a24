import { noPython } from '../support/python.ts';
import { NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { systemCalls } from '../support/system-calls.ts';

const fail = (code: string) => Object.assign(new Error(code), { code });

protocolTest(
  'extended attributes are set with flags, read, listed and removed',
  [
    {
      kind: 'operation',
      name: 'setxattr',
      call: 'setxattr(2) 0, XATTR_CREATE, XATTR_REPLACE',
      result: '0; EEXIST; ENODATA; E2BIG',
    },
    {
      kind: 'operation',
      name: 'getxattr',
      call: 'getxattr(2)',
      result: 'the value; its size; ERANGE; ENODATA',
    },
    { kind: 'operation', name: 'listxattr', call: 'listxattr(2)', result: 'the names; their size; ERANGE' },
    { kind: 'operation', name: 'removexattr', call: 'removexattr(2)', result: '0; ENODATA' },
  ],
  async (t, transport) => {
    const { dir, of } = await recording(t, transport, {
      setxattr({ flags, name }) {
        if (flags === 1 && name === 'user.there') throw fail('EEXIST');
        if (flags === 2 && name !== 'user.there') throw fail('ENODATA');
      },
      getxattr({ name }) {
        if (name === 'user.none') throw fail('ENODATA');
        return name === 'user.text' ? 'äö' : Buffer.from([0, 1, 255]);
      },
      listxattr: () => ['user.there', 'trusted.x', 'security.y'],
      removexattr({ name }) {
        if (name !== 'user.there') throw fail('ENODATA');
      },
    });
    const said = await systemCalls(
      t,
      `
f = at('file')
room = ctypes.create_string_buffer(100)
def get(name, size):
    return attempt(call, 191, f.encode(), name.encode(), ctypes.addressof(room), size)
def list(size):
    return attempt(call, 194, f.encode(), ctypes.addressof(room), size)
say([
  attempt(os.setxattr, f, 'user.new', b'a\\0b'), attempt(os.setxattr, f, 'user.empty', b'', os.XATTR_CREATE),
  attempt(os.setxattr, f, 'user.there', b'c', os.XATTR_CREATE), attempt(os.setxattr, f, 'user.there', b'd', os.XATTR_REPLACE),
  attempt(os.setxattr, f, 'user.new', b'e', os.XATTR_REPLACE),
  attempt(os.setxattr, f, 'user.large', b'x' * 65536), attempt(os.setxattr, f, 'user.large', b'x' * 65537),
  attempt(os.setxattr, f, 'user.' + 'n' * 250, b'f'), attempt(os.setxattr, f, 'user.' + 'n' * 251, b'f'),
  os.getxattr(f, 'user.there'), os.getxattr(f, 'user.text').decode(), attempt(os.getxattr, f, 'user.none'),
  get('user.there', 0), get('user.there', 2), get('user.there', 3),
  sorted(os.listxattr(f)), list(0), list(5), list(100),
  attempt(os.removexattr, f, 'user.there'), attempt(os.removexattr, f, 'user.none'),
])
`,
      dir,
    );
    const names = 'user.there\0trusted.x\0security.y\0'.length;
    t.deepEqual(said, [
      ...[null, null, 'EEXIST', null, 'ENODATA', null, 'E2BIG', null, 'ERANGE'],
      ...['\0\u0001ÿ', 'äö', 'ENODATA', 3, 'ERANGE', 3],
      ...[['security.y', 'trusted.x', 'user.there'], names, 'ERANGE', names],
      ...[null, 'ENODATA'],
    ]);
    const set = { op: 'setxattr', ino: NODES.file, setxattrFlags: 0 };
    t.deepEqual(of('setxattr').slice(0, 5), [
      { ...set, name: 'user.new', value: 'a\0b', flags: 0 },
      { ...set, name: 'user.empty', value: '', flags: 1 },
      { ...set, name: 'user.there', value: 'c', flags: 1 },
      { ...set, name: 'user.there', value: 'd', flags: 2 },
      { ...set, name: 'user.new', value: 'e', flags: 2 },
    ]);
    t.is((of('setxattr')[5].value as string).length, 65536);
    t.like(
      of('getxattr').find(({ name, size }) => name === 'user.there' && size === 0),
      { op: 'getxattr', ino: NODES.file },
    );
    t.like(of('getxattr').at(-1), { name: 'user.there', size: 3 });
    t.deepEqual(of('listxattr').at(-1), { op: 'listxattr', ino: NODES.file, size: 100 });
    t.deepEqual(of('removexattr'), [
      { op: 'removexattr', ino: NODES.file, name: 'user.there' },
      { op: 'removexattr', ino: NODES.file, name: 'user.none' },
    ]);
  },
  { missing: noPython },
);
