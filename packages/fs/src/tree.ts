import { constants } from 'node:fs';
import { FuseError, type Timespec } from 'ringfuse';
import { Clock } from './clock.ts';
import type { Directory, Entry } from './directory.ts';
import { Inode, type InodeInit, inherit } from './inode.ts';
import { checkName } from './names.ts';
import type { Space } from './space.ts';

const { S_IFCHR } = constants;

/** Flags of `renameat2(2)`. */
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
const RENAME_WHITEOUT = 4;

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

/** Refuses a node that the other may not take the place of. */
function checkReplaceable(replaced: Inode, inode: Inode): void {
  if (inode.entries !== undefined && entriesOf(replaced).size > 0) throw new FuseError('ENOTEMPTY');
  if (inode.entries === undefined && replaced.entries !== undefined) throw new FuseError('EISDIR');
}

/** Notes a change of a directory's entries. */
function changed(directory: Inode, now: Timespec): void {
  directory.mtime = now;
  directory.ctime = now;
}

/** What a filesystem holds. */
export interface Usage {
  /** Bytes that contents and extended attributes take. */
  readonly size: number;
  /** Names, and nodes without a name that the kernel knows: those that are open. */
  readonly inodes: number;
  /** Lookups that the kernel has not taken back. What is left when the mount ends, ends with it. */
  readonly lookups: number;
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

  /** What there is. */
  usage(): Usage {
    const { size, freeSize, usedInodes } = this.space;
    let lookups = 0;
    for (const inode of this.#inodes.values()) lookups += inode.nlookup;
    return { size: size - freeSize, inodes: usedInodes, lookups };
  }

  /** Makes a node and gives it a name. */
  make(parent: Inode, name: string, init: InodeInit): Inode {
    const entries = openEntriesOf(parent);
    checkName(name);
    if (entries.get(name) !== undefined) throw new FuseError('EEXIST');
    const inode = this.#create(parent, init);
    entries.add(name, inode);
    changed(parent, inode.birthtime);
    if (inode.entries === undefined) {
      inode.nlink = 1;
    } else {
      inode.nlink = 2;
      parent.nlink += 1;
    }
    return inode;
  }

  /** Makes a file without a name, for as long as the kernel knows it or until it is linked. */
  makeNameless(parent: Inode, init: InodeInit): Inode {
    entriesOf(parent);
    const inode = this.#create(parent, init);
    inode.linkable = true;
    return inode;
  }

  /** Gives a node one more name. */
  link(inode: Inode, parent: Inode, name: string): void {
    const entries = openEntriesOf(parent);
    checkName(name);
    if (entries.get(name) !== undefined) throw new FuseError('EEXIST');
    if (inode.entries !== undefined) throw new FuseError('EPERM');
    if (inode.nlink === 0 && !inode.linkable) throw new FuseError('ENOENT');
    // A nameless file counts already.
    if (!inode.linkable && !this.space.takeInode()) throw new FuseError('ENOSPC');
    const now = this.clock.now();
    entries.add(name, inode);
    inode.linkable = false;
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

  /** Moves a name, as `renameat2(2)`; a whiteout that takes its place belongs to `owner`. */
  rename(
    from: Inode,
    name: string,
    to: Inode,
    newName: string,
    flags: number,
    owner: { readonly uid: number; readonly gid: number } = from,
  ): void {
    const [exchange, whiteOut] = [flags === RENAME_EXCHANGE, (flags & RENAME_WHITEOUT) !== 0];
    if (!exchange && flags & ~(RENAME_NOREPLACE | RENAME_WHITEOUT)) throw new FuseError('EINVAL');
    const sources = entriesOf(from);
    const targets = openEntriesOf(to);
    checkName(newName);
    const source = sources.get(name);
    const target = targets.get(newName);
    if (source === undefined) throw new FuseError('ENOENT');
    if (exchange && target === undefined) throw new FuseError('ENOENT');
    if (flags & RENAME_NOREPLACE && target !== undefined) throw new FuseError('EEXIST');
    if (source.node === target?.node) return;
    if (from !== to && isWithin(to, source.node)) throw new FuseError('EINVAL');
    if (exchange && target !== undefined) {
      if (from !== to && isWithin(from, target.node)) throw new FuseError('EINVAL');
      this.#exchange(source, from, target, to);
      return;
    }
    if (target !== undefined) checkReplaceable(target.node, source.node);
    // What may fail comes before what changes.
    const whiteout = whiteOut
      ? this.#create(from, { mode: S_IFCHR, uid: owner.uid, gid: owner.gid })
      : undefined;
    if (target !== undefined) this.#replace(source, from, target, to);
    else this.#move(source, from, newName, to);
    if (whiteout !== undefined) {
      sources.add(name, whiteout);
      whiteout.nlink = 1;
    }
  }

  /** Takes back `count` lookups of `ino`. */
  forget(ino: number, count: number): void {
    const inode = this.#inodes.get(ino);
    if (inode === undefined) return;
    inode.nlookup -= count;
    this.#reclaim(inode);
  }

  /** Makes a node that has no name yet. */
  #create(parent: Inode, init: InodeInit): Inode {
    if (!this.space.takeInode()) throw new FuseError('ENOSPC');
    let inode: Inode | undefined;
    try {
      inode = new Inode(this.#lastIno + 1, inherit(parent, init), parent, this.space, this.clock.now());
      inode.inheritAcls(parent, init.umask ?? 0);
    } catch (error) {
      inode?.release();
      this.space.giveInode();
      throw error;
    }
    this.#lastIno = inode.ino;
    this.#inodes.set(inode.ino, inode);
    return inode;
  }

  #exchange(source: Entry<Inode>, from: Inode, target: Entry<Inode>, to: Inode): void {
    const { node } = source;
    source.node = target.node;
    target.node = node;
    this.#moved(source.node, to, from);
    this.#moved(target.node, from, to);
  }

  #replace(source: Entry<Inode>, from: Inode, target: Entry<Inode>, to: Inode): void {
    const { node } = source;
    const replaced = target.node;
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
