import { constants } from 'node:fs';
import { FATTR, FOPEN, FuseError, type Handlers, type Reply, type Requests, SETXATTR } from 'ringfuse';
import { ACCESS, isAcl } from './acl.ts';
import { type Caller, ROOT_UID } from './callers.ts';
import type { Entry } from './directory.ts';
import * as files from './files.ts';
import { CAPABILITIES, type Inode, type InodeInit, isSpecialOrFile, PERMISSIONS, S_ISGID } from './inode.ts';
import { type MemoryOptions, resolveOptions } from './options.ts';
import { populate } from './populate.ts';
import { PrivilegeRequests } from './privileges.ts';
import { Space } from './space.ts';
import { entriesOf, Tree, type Usage } from './tree.ts';
import { Xattrs } from './xattrs.ts';

const { O_EXCL, O_NOATIME, O_TRUNC, S_IFDIR, S_IFLNK, S_IFREG } = constants;

/** The bits of SETATTR that change an attribute. */
const CHANGES = FATTR.MODE | FATTR.UID | FATTR.GID | FATTR.SIZE | FATTR.ATIME | FATTR.MTIME | FATTR.CTIME;

/** `FUSE_OPEN_*` flag: privileges are to be taken off. */
const FUSE_OPEN_KILL_SUIDGID = 1;

/** `FUSE_WRITE_*` flags: from the page cache, nobody sees a count; privileges are to be taken off. */
const FUSE_WRITE_CACHE = 1;
const FUSE_WRITE_KILL_SUIDGID = 4;

/** A name that is not there. Only the kernel's own requests can make it: it may keep that. */
const ABSENT: Reply<'lookup'> = { ino: 0 };

/** Thrown for what the kernel is to do itself. */
const NO_HANDLER = new FuseError('ENOSYS');

/** What the kernel reads of a directory stays true until it changes it. */
const LISTING_FLAGS = FOPEN.KEEP_CACHE | FOPEN.CACHE_DIR;

/** Bytes of a block of `statfs`. */
const BLOCK_SIZE = 4096;

/** What {@link memory} makes: handlers to serve, and a look at what they hold. */
export interface Memory extends Handlers {
  readonly usage: Usage;
}

/** A filesystem in memory. The kernel keeps its locks. */
export class MemoryFilesystem implements Memory {
  readonly #tree: Tree;
  readonly #noXattrs: Xattrs;
  /** Of each open directory: the last offset that its listing goes to. */
  readonly #listings: Map<number, number> = new Map();
  #lastHandle = 0;
  readonly #privileges: PrivilegeRequests = new PrivilegeRequests();

  constructor(options: MemoryOptions) {
    const { size, inodes, uid, gid, mode } = resolveOptions(options);
    const space = new Space(size, inodes);
    this.#tree = new Tree(space, { mode: S_IFDIR | mode, uid, gid });
    this.#noXattrs = new Xattrs(space);
    populate(this.#tree, options.files ?? {});
  }

  lookup({ parent, name }: Requests['lookup']): Reply<'lookup'> {
    const inode = this.#tree.find(this.#tree.get(parent), name);
    if (inode === undefined) return ABSENT;
    inode.nlookup += 1;
    return inode;
  }

  forget({ forgets }: Requests['forget']): void {
    for (const { ino, nlookup } of forgets) this.#tree.forget(ino, nlookup);
  }

  getattr({ ino }: Requests['getattr']): Inode {
    return this.#tree.get(ino);
  }

  setattr(request: Requests['setattr']): Inode {
    const { valid } = request;
    const { mode, uid, gid, size, atime, mtime, ctime } = request.attr;
    const inode = this.#tree.get(request.ino);
    const now = this.#tree.clock.now();
    const setsNothing = !(valid & CHANGES & ~FATTR.CTIME);
    if (setsNothing && this.#privileges.takesBits(request, () => inode.uid === request.uid)) {
      inode.killPrivileges(asMember(inode, request));
    }
    if (size !== undefined) files.resize(inode, size, now);
    const isChown = uid !== undefined || gid !== undefined;
    // The flag comes with each chown; root keeps what a member of the group does.
    if (valid & FATTR.KILL_SUIDGID) inode.killPrivileges(isChown ? asMember(inode, request) : request);
    if (uid !== undefined) inode.uid = uid;
    if (gid !== undefined) inode.gid = gid;
    if (isChown && inode.entries === undefined) inode.dropCapabilities();
    if (mode !== undefined) inode.setMode(mode);
    if (atime !== undefined) inode.atime = atime === 'now' ? now : atime;
    if (mtime !== undefined) inode.mtime = mtime === 'now' ? now : mtime;
    inode.ctime = ctime ?? now;
    return inode;
  }

  statx({ ino }: Requests['statx']): Inode {
    return this.#tree.get(ino);
  }

  readlink({ ino }: Requests['readlink']): string {
    const inode = this.#tree.get(ino);
    if (inode.target === undefined) throw new FuseError('EINVAL');
    inode.atime = this.#tree.clock.now();
    return inode.target;
  }

  symlink({ parent, name, target, uid, gid }: Requests['symlink']): Inode {
    return this.#make(parent, name, { mode: S_IFLNK | 0o777, uid, gid, target });
  }

  mknod({ parent, name, mode, umask, rdev, uid, gid }: Requests['mknod']): Inode {
    if (!isSpecialOrFile(mode)) throw new FuseError('EINVAL');
    return this.#make(parent, name, { mode, umask, uid, gid, rdev });
  }

  mkdir({ parent, name, mode, umask, uid, gid }: Requests['mkdir']): Inode {
    return this.#make(parent, name, { mode: S_IFDIR | (mode & PERMISSIONS), umask, uid, gid });
  }

  unlink({ parent, name }: Requests['unlink']): void {
    this.#tree.unlink(this.#tree.get(parent), name);
  }

  rmdir({ parent, name }: Requests['rmdir']): void {
    this.#tree.rmdir(this.#tree.get(parent), name);
  }

  rename({ parent, name, newParent, newName }: Requests['rename']): void {
    this.#tree.rename(this.#tree.get(parent), name, this.#tree.get(newParent), newName, 0);
  }

  rename2(request: Requests['rename2']): void {
    const { parent, name, newParent, newName, flags } = request;
    this.#tree.rename(this.#tree.get(parent), name, this.#tree.get(newParent), newName, flags, request);
  }

  link({ ino, newParent, newName }: Requests['link']): Inode {
    const inode = this.#tree.get(ino);
    this.#tree.link(inode, this.#tree.get(newParent), newName);
    inode.nlookup += 1;
    return inode;
  }

  create(request: Requests['create']): Reply<'create'> {
    const { parent, name, mode, umask, flags, uid, gid } = request;
    const existing = this.#tree.find(this.#tree.get(parent), name);
    if (existing === undefined) {
      return this.#make(parent, name, { mode: S_IFREG | (mode & PERMISSIONS), umask, uid, gid });
    }
    if (flags & O_EXCL || existing.contents === undefined) throw new FuseError('EEXIST');
    this.#truncate(existing, request);
    existing.nlookup += 1;
    return existing;
  }

  tmpfile({ parent, mode, umask, uid, gid }: Requests['tmpfile']): Reply<'tmpfile'> {
    const init = { mode: S_IFREG | (mode & PERMISSIONS), umask, uid, gid };
    const inode = this.#tree.makeNameless(this.#tree.get(parent), init);
    inode.nlookup += 1;
    return inode;
  }

  /** After ENOSYS the kernel opens and closes files by itself, and keeps their pages. */
  open(request: Requests['open']): Reply<'open'> {
    if (!(request.flags & O_TRUNC)) throw NO_HANDLER;
    this.#truncate(this.#tree.get(request.ino), request);
    return undefined;
  }

  read(request: Requests['read']): number {
    const inode = this.#tree.get(request.ino);
    const count = files.read(inode, request.offset, request.unsafeBuffer);
    if (!(request.flags & O_NOATIME)) inode.atime = this.#tree.clock.now();
    return count;
  }

  write(request: Requests['write']): number {
    const { ino, offset, data, writeFlags } = request;
    const inode = this.#tree.get(ino);
    const isCached = (writeFlags & FUSE_WRITE_CACHE) !== 0;
    const written = files.write(inode, offset, data, isCached, this.#tree.clock.now());
    if (writeFlags & FUSE_WRITE_KILL_SUIDGID) inode.killPrivileges(request);
    return written;
  }

  lseek({ ino, offset, whence }: Requests['lseek']): number {
    return files.seek(this.#tree.get(ino), offset, whence);
  }

  fallocate(request: Requests['fallocate']): void {
    const { ino, offset, length, mode } = request;
    const inode = this.#tree.get(ino);
    files.allocate(inode, offset, length, mode, this.#tree.clock.now());
    this.#changed(inode, request);
  }

  copy_file_range(request: Requests['copy_file_range']): number {
    const { offset, newOffset, length } = request;
    const [from, to] = [this.#tree.get(request.ino), this.#tree.get(request.newIno)];
    const copied = files.copy(from, offset, to, newOffset, length, this.#tree.clock.now());
    if (copied > 0) this.#changed(to, request);
    return copied;
  }

  opendir({ ino }: Requests['opendir']): Reply<'opendir'> {
    entriesOf(this.#tree.get(ino));
    this.#lastHandle += 1;
    return { fh: this.#lastHandle, openFlags: LISTING_FLAGS };
  }

  readdir({ ino, fh, offset }: Requests['readdir']): Iterable<Entry<Inode>> {
    return this.#list(ino, fh, offset);
  }

  readdirplus({ ino, fh, offset }: Requests['readdirplus']): Iterable<Entry<Inode>> {
    return new Counted(this.#list(ino, fh, offset));
  }

  releasedir({ fh }: Requests['releasedir']): void {
    this.#listings.delete(fh);
  }

  setxattr({ ino, name, value, flags, setxattrFlags }: Requests['setxattr']): void {
    const inode = this.#tree.get(ino);
    if (isAcl(name)) {
      inode.setAcl(name, value, flags);
      // The kernel sets the flag for both lists; only that of access is a change of permissions.
      if (name === ACCESS && setxattrFlags & SETXATTR.ACL_KILL_SGID) inode.mode &= ~S_ISGID;
    } else {
      inode.writableXattrs.set(name, value, flags);
    }
    inode.ctime = this.#tree.clock.now();
  }

  getxattr({ ino, name }: Requests['getxattr']): Buffer | null {
    return (this.#tree.get(ino).xattrs ?? this.#noXattrs).get(name);
  }

  listxattr({ ino, uid }: Requests['listxattr']): string[] {
    return (this.#tree.get(ino).xattrs ?? this.#noXattrs).names(uid);
  }

  removexattr(request: Requests['removexattr']): void {
    const { ino, name } = request;
    const inode = this.#tree.get(ino);
    if (name === CAPABILITIES) this.#privileges.checkRemoval(request, () => inode.mayWrite(request));
    (inode.xattrs ?? this.#noXattrs).remove(name);
    inode.ctime = this.#tree.clock.now();
  }

  statfs(): Reply<'statfs'> {
    const { size, freeSize, inodes, freeInodes } = this.#tree.space;
    const free = Math.floor(freeSize / BLOCK_SIZE);
    return {
      bsize: BLOCK_SIZE,
      blocks: Math.floor(size / BLOCK_SIZE),
      bfree: free,
      bavail: free,
      files: inodes,
      ffree: freeInodes,
    };
  }

  /** What the filesystem may use. */
  protected get space(): Space {
    return this.#tree.space;
  }

  get usage(): Usage {
    return this.#tree.usage();
  }

  #make(parent: number, name: string, init: InodeInit): Inode {
    const inode = this.#tree.make(this.#tree.get(parent), name, init);
    inode.nlookup += 1;
    return inode;
  }

  /** Takes off what a change of contents by one who is not root takes off. The request does not say it. */
  #changed(inode: Inode, caller: Caller): void {
    if (caller.uid !== ROOT_UID) inode.killPrivileges(caller);
  }

  /** What the opening of a file does to it. */
  #truncate(inode: Inode, request: Requests['open'] | Requests['create']): void {
    if (request.flags & O_TRUNC) files.resize(inode, 0, this.#tree.clock.now());
    if (request.openFlags & FUSE_OPEN_KILL_SUIDGID) inode.killPrivileges(request);
  }

  /** A listing ends where the directory ended when it began: it would not, if each entry made another. */
  #list(ino: number, fh: number, offset: number): IterableIterator<Entry<Inode>> {
    const inode = this.#tree.get(ino);
    const entries = entriesOf(inode);
    let last = this.#listings.get(fh);
    // The kernel may have given the first entries from its cache.
    if (offset === 0 || last === undefined) {
      last = entries.lastOffset;
      this.#listings.set(fh, last);
    }
    inode.atime = this.#tree.clock.now();
    return entries.after(offset, last);
  }
}

/** The caller of a change that asks for no capability: root is taken for a member of the file's group. */
function asMember({ gid }: Inode, caller: Caller): Caller {
  return caller.uid === ROOT_UID ? { uid: ROOT_UID, gid, pid: caller.pid } : caller;
}

/** Entries, of which each counts as looked up once it is taken: when the next one is asked for. */
class Counted implements IterableIterator<Entry<Inode>> {
  readonly #entries: IterableIterator<Entry<Inode>>;
  #given: Entry<Inode> | undefined;

  constructor(entries: IterableIterator<Entry<Inode>>) {
    this.#entries = entries;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Entry<Inode>, undefined> {
    if (this.#given !== undefined && !this.#given.isDot) this.#given.node.nlookup += 1;
    const result = this.#entries.next();
    this.#given = result.value;
    return result;
  }
}
