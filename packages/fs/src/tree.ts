import { FuseError, type Timespec } from 'ringfuse';
import { Clock } from './clock.ts';
import type { Directory, Entry } from './directory.ts';
import { Inode, type InodeInit, inherit } from './inode.ts';
import { checkName } from './names.ts';
import type { Space } from './space.ts';

/** Flags of `renameat2(2)`. */
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;

/** The root's number, as the protocol has it. */
const ROOT_INO = 1;

/** The entries of a directory; ENOTDIR for anything else. */
export function entriesOf(inode: Inode): Directory<Inode> {
  if (inode.entries === undefined) throw new FuseError('ENOTDIR');
  return inode.entries;
}

/** The entries of a directory that may get one more; ENOENT once it is removed. */
function openEntriesOf(directory: Inode): Directory<Inode> {
  const entries = entriesOf(directory);
  if (directory.nlink === 0) throw new FuseError('ENOENT');
  return entries;
}

/** Whether `inode` is the directory `other` or lies in it, at any depth. */
function isWithin(inode: Inode, other: Inode): boolean {
  if (other.entries === undefined) return false;
  for (let at = inode; at !== other; at = entriesOf(at).parent) if (at.ino === ROOT_INO) return false;
  return true;
}

/** Notes a change of a directory's entries. */
function changed(directory: Inode, now: Timespec): void {
  directory.mtime = now;
  directory.ctime = now;
}

/** The nodes of a filesystem and the names that they have. */
export class Tree {
  readonly space: Space;
  readonly clock: Clock = new Clock();
  readonly root: Inode;
  readonly #inodes: Map<number, Inode> = new Map();
  #lastIno = ROOT_INO;

  constructor(space: Space, root: InodeInit) {
    this.space = space;
    space.takeInode();
    this.root = new Inode(ROOT_INO, root, undefined, space, this.clock.now());
    this.root.nlink = 2;
    this.#inodes.set(ROOT_INO, this.root);
  }

  /** The node that the kernel knows as `ino`. */
  get(ino: number): Inode {
    const inode = this.#inodes.get(ino);
    if (inode === undefined) throw new FuseError('ESTALE');
    return inode;
  }

  /** The node that has a name. */
  find(parent: Inode, name: string): Inode | undefined {
    const entry = entriesOf(parent).get(name);
    if (entry === undefined) checkName(name);
    return entry?.node;
  }

  /** Makes a node and gives it a name. */
  make(parent: Inode, name: string, init: InodeInit): Inode {
    const entries = openEntriesOf(parent);
    checkName(name);
    if (entries.get(name) !== undefined) throw new FuseError('EEXIST');
    if (!this.space.takeInode()) throw new FuseError('ENOSPC');
    const now = this.clock.now();
    this.#lastIno += 1;
    const inode = new Inode(this.#lastIno, inherit(parent, init), parent, this.space, now);
    this.#inodes.set(inode.ino, inode);
    entries.add(name, inode);
    if (inode.entries === undefined) {
      inode.nlink = 1;
    } else {
      inode.nlink = 2;
      parent.nlink += 1;
    }
    changed(parent, now);
    return inode;
  }

  /** Gives a node one more name. */
  link(inode: Inode, parent: Inode, name: string): void {
    const entries = openEntriesOf(parent);
    checkName(name);
    if (entries.get(name) !== undefined) throw new FuseError('EEXIST');
    if (inode.entries !== undefined) throw new FuseError('EPERM');
    if (inode.nlink === 0) throw new FuseError('ENOENT');
    if (!this.space.takeInode()) throw new FuseError('ENOSPC');
    const now = this.clock.now();
    entries.add(name, inode);
    inode.nlink += 1;
    inode.ctime = now;
    changed(parent, now);
  }

  /** Takes a name from a node that is not a directory. */
  unlink(parent: Inode, name: string): void {
    const entries = entriesOf(parent);
    const entry = entries.get(name);
    if (entry === undefined) throw new FuseError('ENOENT');
    if (entry.node.entries !== undefined) throw new FuseError('EISDIR');
    this.#lostName(entries.remove(entry), parent);
  }

  /** Removes an empty directory. */
  rmdir(parent: Inode, name: string): void {
    const entries = entriesOf(parent);
    const entry = entries.get(name);
    if (entry === undefined) throw new FuseError('ENOENT');
    if (entriesOf(entry.node).size > 0) throw new FuseError('ENOTEMPTY');
    this.#lostName(entries.remove(entry), parent);
  }

  /** Moves a name, as `renameat2(2)`. */
  rename(from: Inode, name: string, to: Inode, newName: string, flags: number): void {
    if (flags !== 0 && flags !== RENAME_NOREPLACE && flags !== RENAME_EXCHANGE) throw new FuseError('EINVAL');
    const sources = entriesOf(from);
    const targets = openEntriesOf(to);
    checkName(newName);
    const source = sources.get(name);
    const target = targets.get(newName);
    if (source === undefined) throw new FuseError('ENOENT');
    if (flags === RENAME_EXCHANGE && target === undefined) throw new FuseError('ENOENT');
    if (flags === RENAME_NOREPLACE && target !== undefined) throw new FuseError('EEXIST');
    if (source.node === target?.node) return;
    if (from !== to && isWithin(to, source.node)) throw new FuseError('EINVAL');

    if (flags === RENAME_EXCHANGE && target !== undefined) this.#exchange(source, from, target, to);
    else if (target !== undefined) this.#replace(source, from, target, to);
    else this.#move(source, from, newName, to);
  }

  /** Takes back `count` lookups of `ino`. */
  forget(ino: number, count: number): void {
    const inode = this.#inodes.get(ino);
    if (inode === undefined) return;
    inode.nlookup -= count;
    this.#reclaim(inode);
  }

  /** Ends one of the opens of a node. */
  close(inode: Inode): void {
    inode.opens -= 1;
    this.#reclaim(inode);
  }

  #exchange(source: Entry<Inode>, from: Inode, target: Entry<Inode>, to: Inode): void {
    const { node } = source;
    if (from !== to && isWithin(from, target.node)) throw new FuseError('EINVAL');
    source.node = target.node;
    target.node = node;
    this.#moved(source.node, to, from);
    this.#moved(target.node, from, to);
  }

  #replace(source: Entry<Inode>, from: Inode, target: Entry<Inode>, to: Inode): void {
    const { node } = source;
    const replaced = target.node;
    if (node.entries !== undefined && entriesOf(replaced).size > 0) throw new FuseError('ENOTEMPTY');
    if (node.entries === undefined && replaced.entries !== undefined) throw new FuseError('EISDIR');
    target.node = entriesOf(from).remove(source);
    this.#moved(node, from, to);
    this.#lostName(replaced, to);
  }

  #move(source: Entry<Inode>, from: Inode, name: string, to: Inode): void {
    const { node } = source;
    if (from === to) entriesOf(from).rename(source, name);
    else entriesOf(to).add(name, entriesOf(from).remove(source));
    this.#moved(node, from, to);
  }

  /** Notes that a name of `inode` moved from the one directory to the other. */
  #moved(inode: Inode, from: Inode, to: Inode): void {
    const now = this.clock.now();
    inode.ctime = now;
    changed(from, now);
    changed(to, now);
    if (inode.entries === undefined) return;
    inode.entries.parent = to;
    from.nlink -= 1;
    to.nlink += 1;
  }

  /** Counts a name less, after its entry in `parent` is gone. */
  #lostName(inode: Inode, parent: Inode): void {
    const now = this.clock.now();
    inode.ctime = now;
    changed(parent, now);
    if (inode.entries !== undefined) {
      inode.nlink = 0;
      parent.nlink -= 1;
    } else {
      inode.nlink -= 1;
      if (inode.nlink > 0) this.space.giveInode();
    }
    this.#reclaim(inode);
  }

  #reclaim(inode: Inode): void {
    if (!inode.isUnused) return;
    this.#inodes.delete(inode.ino);
    inode.release();
    this.space.giveInode();
  }
}
