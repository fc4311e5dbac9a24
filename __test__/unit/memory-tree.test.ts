import { constants } from 'node:fs';
import test from 'ava';
import type { FuseError } from 'ringfuse';
import type { Inode } from '#fs/inode.js';
import { Space } from '#fs/space.js';
import { entriesOf, Tree } from '#fs/tree.js';
import { random } from './memory-random.ts';

const { S_IFCHR, S_IFDIR, S_IFREG } = constants;
const owner = { uid: 1000, gid: 1000 };
const file = { ...owner, mode: S_IFREG | 0o644 };
const directory = { ...owner, mode: S_IFDIR | 0o755 };
const NOREPLACE = 1;
const EXCHANGE = 2;
const WHITEOUT = 4;

function makeTree(inodes = 1000): Tree {
  return new Tree(new Space(2 ** 30, inodes), directory);
}

/** All nodes below the root, with the names of each. */
function walk(root: Inode): Map<Inode, string[]> {
  const found = new Map<Inode, string[]>();
  const visit = (at: Inode, path: string): void => {
    for (const { name, node } of entriesOf(at).after(2, Infinity)) {
      const names = found.get(node) ?? [];
      found.set(node, [...names, `${path}/${name}`]);
      if (node.entries !== undefined) visit(node, `${path}/${name}`);
    }
  };
  visit(root, '');
  return found;
}

test('link counts, parents and the space used are right after any sequence of changes', (t) => {
  const { below } = random(t, 5);
  for (let round = 0; round < 20; round += 1) {
    const tree = makeTree();
    const refused = new Set<string>();
    const pick = <T>(from: readonly T[]): T => from[below(from.length)];
    for (let step = 0; step < 400; step += 1) {
      const nodes = [tree.root, ...walk(tree.root).keys()];
      const directories = nodes.filter((node) => node.entries !== undefined);
      const name = (): string => pick(['a', 'b', 'c', 'd']);
      try {
        switch (below(7)) {
          case 0:
            tree.make(pick(directories), name(), file);
            break;
          case 1:
            tree.make(pick(directories), name(), directory);
            break;
          case 2:
            tree.link(pick(nodes), pick(directories), name());
            break;
          case 3:
            tree.unlink(pick(directories), name());
            break;
          case 4:
            tree.rmdir(pick(directories), name());
            break;
          default:
            tree.rename(
              pick(directories),
              name(),
              pick(directories),
              name(),
              pick([0, 0, NOREPLACE, EXCHANGE, WHITEOUT, WHITEOUT | NOREPLACE]),
            );
        }
      } catch (error) {
        refused.add((error as FuseError).code);
      }
    }

    const found = walk(tree.root);
    let names = 1;
    for (const [node, paths] of found) {
      names += paths.length;
      if (node.entries === undefined) {
        t.is(node.nlink, paths.length);
      } else {
        const inside = [...node.entries.after(2, Infinity)];
        t.is(paths.length, 1);
        t.is(node.nlink, 2 + inside.filter((entry) => entry.node.entries !== undefined).length);
        for (const { node: child } of inside)
          if (child.entries !== undefined) t.is(child.entries.parent, node);
      }
      t.is(tree.get(node.ino), node);
    }
    t.is(tree.space.inodes - tree.space.freeInodes, names);
    t.deepEqual(
      [...refused].filter(
        (code) => !['EEXIST', 'ENOENT', 'EISDIR', 'ENOTDIR', 'ENOTEMPTY', 'EINVAL', 'EPERM'].includes(code),
      ),
      [],
    );
  }
});

test('a file lives until its names and its lookups are all gone', (t) => {
  for (const order of ['nl', 'ln']) {
    const tree = makeTree();
    const inode = tree.make(tree.root, 'file', file);
    inode.contents?.write(0, Buffer.from('kept'));
    inode.nlookup = 3;
    for (const step of order) {
      t.is(tree.get(inode.ino), inode);
      if (step === 'n') tree.unlink(tree.root, 'file');
      if (step === 'l') tree.forget(inode.ino, 3);
    }
    t.throws(() => tree.get(inode.ino), { code: 'ESTALE' });
    t.is(tree.space.freeInodes, tree.space.inodes - 1);
    t.is(tree.space.freeSize, tree.space.size);
  }
});

test('a directory cannot move into itself, nor be exchanged with what is in it', (t) => {
  const tree = makeTree();
  const outer = tree.make(tree.root, 'outer', directory);
  const inner = tree.make(outer, 'inner', directory);
  t.throws(() => tree.rename(tree.root, 'outer', inner, 'x', 0), { code: 'EINVAL' });
  t.throws(() => tree.rename(tree.root, 'outer', outer, 'x', 0), { code: 'EINVAL' });
  t.throws(() => tree.rename(tree.root, 'outer', outer, 'inner', EXCHANGE), { code: 'EINVAL' });
  t.throws(() => tree.rename(outer, 'inner', tree.root, 'outer', EXCHANGE), { code: 'EINVAL' });
  t.throws(() => tree.rename(outer, 'inner', tree.root, 'outer', 0), { code: 'ENOTEMPTY' });
});

test('a rename that asks for what contradicts an exchange, or for what is unknown, is refused', (t) => {
  const tree = makeTree();
  tree.make(tree.root, 'a', file);
  for (const flags of [NOREPLACE | EXCHANGE, WHITEOUT | EXCHANGE, 8])
    t.throws(() => tree.rename(tree.root, 'a', tree.root, 'b', flags), { code: 'EINVAL' });
});

test('a whiteout takes the place of what moved, and a rename without room for it changes nothing', (t) => {
  const tree = makeTree(4);
  const directory = tree.make(tree.root, 'directory', { ...owner, mode: S_IFDIR | 0o755 });
  const inode = tree.make(tree.root, 'a', file);
  tree.rename(tree.root, 'a', directory, 'b', WHITEOUT, { uid: 5, gid: 6 });
  t.is(tree.find(directory, 'b'), inode);
  const whiteout = tree.find(tree.root, 'a');
  t.like(whiteout, { mode: S_IFCHR, rdev: 0, uid: 5, gid: 6, nlink: 1 });
  t.throws(() => tree.rename(directory, 'b', tree.root, 'c', WHITEOUT), { code: 'ENOSPC' });
  t.is(tree.find(directory, 'b'), inode);
  tree.rename(directory, 'b', tree.root, 'a', 0);
  t.is(tree.find(tree.root, 'a'), inode);
  t.is(tree.space.freeInodes, 1);
});

test('a nameless file counts once, gets a name once, and is gone with its last use', (t) => {
  const tree = makeTree(3);
  const inode = tree.makeNameless(tree.root, file);
  inode.nlookup = 1;
  const other = tree.makeNameless(tree.root, file);
  other.nlookup = 1;
  t.throws(() => tree.makeNameless(tree.root, file), { code: 'ENOSPC' });
  tree.link(inode, tree.root, 'name');
  t.is(inode.nlink, 1);
  tree.forget(other.ino, 1);
  t.is(tree.space.freeInodes, 1);
  tree.unlink(tree.root, 'name');
  t.throws(() => tree.link(inode, tree.root, 'again'), { code: 'ENOENT' });
  tree.forget(inode.ino, 1);
  t.is(tree.space.freeInodes, 2);
});

test('a set-group-ID directory hands its group on, and to directories the bit as well', (t) => {
  const tree = makeTree();
  const shared = tree.make(tree.root, 'shared', { uid: 1, gid: 7, mode: S_IFDIR | 0o2775 });
  t.is(tree.make(shared, 'file', file).gid, 7);
  t.is(tree.make(shared, 'file2', file).mode, file.mode);
  const inner = tree.make(shared, 'inner', directory);
  t.is(inner.gid, 7);
  t.is(inner.mode, S_IFDIR | 0o2755);
});

test('each name counts towards the limit of inodes, and is given back', (t) => {
  const tree = makeTree(3);
  const inode = tree.make(tree.root, 'a', file);
  tree.link(inode, tree.root, 'b');
  t.throws(() => tree.link(inode, tree.root, 'c'), { code: 'ENOSPC' });
  t.throws(() => tree.make(tree.root, 'c', file), { code: 'ENOSPC' });
  tree.unlink(tree.root, 'a');
  tree.make(tree.root, 'c', file);
});

test('a name of 255 bytes fits, one of 256 does not, and bytes that are not UTF-8 count as one', (t) => {
  const tree = makeTree();
  t.notThrows(() => tree.make(tree.root, 'x'.repeat(255), file));
  t.throws(() => tree.make(tree.root, 'x'.repeat(256), file), { code: 'ENAMETOOLONG' });
  t.throws(() => tree.find(tree.root, 'é'.repeat(128)), { code: 'ENAMETOOLONG' });
  t.is(tree.find(tree.root, 'é'.repeat(127)), undefined);
  t.notThrows(() => tree.make(tree.root, '\udcff'.repeat(255), file));
});
