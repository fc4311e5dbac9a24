import { constants } from 'node:fs';
import test from 'ava';
import { ACCESS, DEFAULT, decodeAcl, encodeAcl } from '#fs/acl.js';
import { Space } from '#fs/space.js';
import { Tree } from '#fs/tree.js';

const { S_IFDIR, S_IFLNK, S_IFREG } = constants;
const [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER] = [1, 2, 4, 8, 16, 32];
const owner = { uid: 1000, gid: 1000 };

type Entries = readonly (readonly [tag: number, permissions: number, id?: number])[];

function acl(entries: Entries, version = 2): Buffer {
  const value = Buffer.alloc(4 + entries.length * 8);
  value.writeUInt32LE(version);
  entries.forEach(([tag, permissions, id = 0xffff_ffff], index) => {
    value.writeUInt16LE(tag, 4 + index * 8);
    value.writeUInt16LE(permissions, 6 + index * 8);
    value.writeUInt32LE(id, 8 + index * 8);
  });
  return value;
}

function entries(value: Uint8Array | undefined): Entries {
  return (decodeAcl(value ?? Buffer.alloc(0)) ?? []).map(({ tag, permissions, id }) =>
    id === 0xffff_ffff ? [tag, permissions] : [tag, permissions, id],
  );
}

const minimal: Entries = [
  [USER_OBJ, 6],
  [GROUP_OBJ, 4],
  [OTHER, 0],
];

const named: Entries = [
  [USER_OBJ, 7],
  [USER, 6, 5],
  [GROUP_OBJ, 5],
  [GROUP, 4, 6],
  [MASK, 6],
  [OTHER, 1],
];

function makeTree(): Tree {
  return new Tree(new Space(2 ** 20, 100), { ...owner, mode: S_IFDIR | 0o755 });
}

test('what the kernel takes for a valid list is one, and nothing else', (t) => {
  for (const valid of [minimal, named]) t.deepEqual(encodeAcl(decodeAcl(acl(valid)) ?? []), acl(valid));
  t.is(decodeAcl(acl([])), undefined);
  const wrong: readonly Entries[] = [
    minimal.slice(1),
    minimal.slice(0, 2),
    [...minimal].reverse(),
    [minimal[0], ...minimal],
    [minimal[0], [USER, 7, 5], ...minimal.slice(1)],
    [...minimal.slice(0, 2), [GROUP, 7, 5], minimal[2]],
    [minimal[0], [USER, 7], minimal[1], [MASK, 7], minimal[2]],
    [[USER_OBJ, 8], ...minimal.slice(1)],
    [...minimal, [64, 7]],
    [...minimal.slice(0, 2), [MASK, 7], [MASK, 7], minimal[2]],
  ];
  for (const list of wrong) t.throws(() => decodeAcl(acl(list)), { code: 'EINVAL' }, JSON.stringify(list));
  t.throws(() => decodeAcl(acl(minimal).subarray(0, 11)), { code: 'EINVAL' });
  t.throws(() => decodeAcl(Buffer.alloc(0)), { code: 'EINVAL' });
  t.throws(() => decodeAcl(acl(minimal, 1)), { code: 'EOPNOTSUPP' });
});

test('permissions follow the list, and the list follows the permissions', (t) => {
  const tree = makeTree();
  const inode = tree.make(tree.root, 'file', { ...owner, mode: S_IFREG | 0o2644 });
  inode.setAcl(ACCESS, acl(named), 0);
  t.is(inode.mode, S_IFREG | 0o2761);
  inode.setMode(0o417);
  t.is(inode.mode, S_IFREG | 0o417);
  t.deepEqual(entries(inode.xattrs?.find(ACCESS)), [
    [USER_OBJ, 4],
    [USER, 6, 5],
    [GROUP_OBJ, 5],
    [GROUP, 4, 6],
    [MASK, 1],
    [OTHER, 7],
  ]);
  inode.setAcl(ACCESS, acl(minimal), 0);
  t.is(inode.mode, S_IFREG | 0o640);
  t.is(inode.xattrs?.find(ACCESS), undefined);
  inode.setAcl(ACCESS, acl(named), 0);
  inode.setAcl(ACCESS, acl([]), 0);
  t.deepEqual([inode.mode, inode.xattrs?.find(ACCESS)], [S_IFREG | 0o761, undefined]);
});

test('a default list is handed on, and takes the place of the umask', (t) => {
  const tree = makeTree();
  const make = (parent: typeof tree.root, name: string, mode: number) =>
    tree.make(parent, name, { ...owner, mode, umask: 0o077 });
  const directory = make(tree.root, 'directory', S_IFDIR | 0o777);
  t.is(directory.mode, S_IFDIR | 0o700);
  directory.setAcl(DEFAULT, acl(named), 0);
  t.is(directory.mode, S_IFDIR | 0o700);

  const inner = make(directory, 'inner', S_IFDIR | 0o777);
  t.is(inner.mode, S_IFDIR | 0o761);
  for (const name of [ACCESS, DEFAULT]) t.deepEqual(entries(inner.xattrs?.find(name)), named);
  const file = make(directory, 'file', S_IFREG | 0o640);
  t.is(file.mode, S_IFREG | 0o640);
  t.deepEqual(entries(file.xattrs?.find(ACCESS)), [
    [USER_OBJ, 6],
    [USER, 6, 5],
    [GROUP_OBJ, 5],
    [GROUP, 4, 6],
    [MASK, 4],
    [OTHER, 0],
  ]);
  t.is(file.xattrs?.find(DEFAULT), undefined);
  const link = tree.make(directory, 'link', { ...owner, mode: S_IFLNK | 0o777, target: 'x' });
  t.deepEqual([link.mode, link.xattrs], [S_IFLNK | 0o777, undefined]);

  const plain = make(tree.root, 'plain', S_IFDIR | 0o755);
  plain.setAcl(DEFAULT, acl(minimal), 0);
  const child = make(plain, 'child', S_IFREG | 0o666);
  t.deepEqual([child.mode, child.xattrs], [S_IFREG | 0o640, undefined]);
});

test('only what can have a list gets one, and what it takes is given back', (t) => {
  const tree = makeTree();
  const file = tree.make(tree.root, 'file', { ...owner, mode: S_IFREG | 0o644 });
  t.throws(() => file.setAcl(DEFAULT, acl(named), 0), { code: 'EACCES' });
  const link = tree.make(tree.root, 'link', { ...owner, mode: S_IFLNK | 0o777, target: 'x' });
  t.throws(() => link.setAcl(ACCESS, acl(named), 0), { code: 'EOPNOTSUPP' });
  const { freeSize } = tree.space;
  file.setAcl(ACCESS, acl(named), 0);
  t.true(tree.space.freeSize < freeSize);
  tree.unlink(tree.root, 'file');
  t.is(tree.space.freeSize, freeSize);

  const full = new Tree(new Space(100, 100), { ...owner, mode: S_IFDIR | 0o755 });
  full.root.setAcl(DEFAULT, acl(named), 0);
  const { freeInodes } = full.space;
  t.throws(() => full.make(full.root, 'directory', { ...owner, mode: S_IFDIR | 0o777 }), { code: 'ENOSPC' });
  t.is(full.space.freeInodes, freeInodes);
  t.is(full.find(full.root, 'directory'), undefined);
});
