import { constants } from 'node:fs';
import { type EntryReply, type ExtendedAttributes, FuseError, type Timespec } from 'ringfuse';
import {
  ACCESS,
  type Acl,
  DEFAULT,
  decodeAcl,
  encodeAcl,
  inheritAcl,
  isMinimal,
  letsWrite,
  withAcl,
  withMode,
} from './acl.ts';
import { type Caller, isMember, ROOT_UID } from './callers.ts';
import { Contents } from './contents.ts';
import { Directory } from './directory.ts';
import { byteLength } from './names.ts';
import { attrTimeoutOf, hasSetIdBits } from './privileges.ts';
import type { Space } from './space.ts';
import { Xattrs } from './xattrs.ts';

const { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } = constants;

/** Bits of a mode that `node:fs` has no constants for, as `inode(7)`. */
const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
const S_IXGRP = 0o0010;
const S_IWGRP = 0o0020;
const S_IWOTH = 0o0002;

/** What a umask may take off. */
const MODE_BITS = 0o777;

/** All bits of a mode that are not the type. */
export const PERMISSIONS = 0o7777;

const BLOCK_SIZE = 512;

/** The extended attribute with the capabilities of a file. */
export const CAPABILITIES = 'security.capability';

/** Whether a mode is that of a node which `mknod(2)` can make. */
export function isSpecialOrFile(mode: number): boolean {
  switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
      return true;
    default:
      return false;
  }
}

/** Bytes of the JavaScript heap that what a symbolic link says takes, at most: two for a UTF-16 unit. */
function targetCost({ target = '' }: { readonly target?: string }): number {
  return target.length * 2;
}

/** What a new inode is made of. */
export interface InodeInit {
  /** Type and permissions. */
  readonly mode: number;
  /** Permissions that are taken off, unless a default access control list is there in its place. Default 0. */
  readonly umask?: number;
  readonly uid: number;
  readonly gid: number;
  /** Device number of a device. */
  readonly rdev?: number;
  /** What a symbolic link says. */
  readonly target?: string;
}

/**
 * A node of the filesystem. It is at once what requests on it are answered with: its own attributes, and the
 * entry that names it.
 */
export class Inode implements ExtendedAttributes, EntryReply {
  readonly ino: number;
  mode: number;
  /** Names of it. Of a directory: its own, its `.`, and the `..` of each directory in it. */
  nlink = 0;
  uid: number;
  gid: number;
  readonly rdev: number;
  /** Bytes of a file's contents or of what a symbolic link says; directories have none. */
  size: number;
  atime: Timespec;
  mtime: Timespec;
  ctime: Timespec;
  readonly birthtime: Timespec;

  /** The bytes of a regular file. */
  readonly contents: Contents | undefined;
  /** The entries of a directory. */
  readonly entries: Directory<Inode> | undefined;
  /** What a symbolic link says. */
  readonly target: string | undefined;
  /** Extended attributes; undefined until one is set. */
  xattrs: Xattrs | undefined;

  /** Lookups that the kernel has not taken back. */
  nlookup = 0;
  /** Whether it may get a name although it has none: a nameless file that never had one. */
  linkable = false;
  readonly #space: Space;

  constructor(ino: number, init: InodeInit, parent: Inode | undefined, space: Space, now: Timespec) {
    const type = init.mode & S_IFMT;
    this.ino = ino;
    this.mode = init.mode;
    this.uid = init.uid;
    this.gid = init.gid;
    this.rdev = type === S_IFCHR || type === S_IFBLK ? (init.rdev ?? 0) : 0;
    this.atime = now;
    this.mtime = now;
    this.ctime = now;
    this.birthtime = now;
    this.#space = space;
    if (!space.takeHeap(targetCost(init))) throw new FuseError('ENOSPC');
    this.contents = type === S_IFREG ? new Contents(space) : undefined;
    this.entries = type === S_IFDIR ? new Directory<Inode>(this, parent ?? this) : undefined;
    this.target = type === S_IFLNK ? init.target : undefined;
    this.xattrs = undefined;
    this.size = byteLength(this.target ?? '');
  }

  get attr(): Inode {
    return this;
  }

  get attrTimeout(): number | undefined {
    return attrTimeoutOf(this.mode);
  }

  get blocks(): number {
    return this.contents === undefined ? 0 : this.contents.allocated / BLOCK_SIZE;
  }

  /** Whether nothing names it and the kernel does not know it: it can go. What is open, the kernel knows. */
  get isUnused(): boolean {
    return this.nlink === 0 && this.nlookup === 0;
  }

  /** Its extended attributes, to be set. */
  get writableXattrs(): Xattrs {
    this.xattrs ??= new Xattrs(this.#space);
    return this.xattrs;
  }

  /** Sets the permissions, also those in its access control list. */
  setMode(mode: number): void {
    const acl = this.#acl(ACCESS);
    if (acl !== undefined) this.writableXattrs.set(ACCESS, encodeAcl(withMode(acl, mode)), 0);
    this.mode = (this.mode & S_IFMT) | (mode & PERMISSIONS);
  }

  /**
   * Sets an access control list; `flags` as `setxattr(2)`. The permissions follow that of access, and one that says
   * no more than they do is not kept.
   */
  setAcl(name: string, value: Uint8Array, flags: number): void {
    if (this.target !== undefined) throw new FuseError('EOPNOTSUPP');
    if (name === DEFAULT && this.entries === undefined) throw new FuseError('EACCES');
    const acl = decodeAcl(value);
    if (acl === undefined || (name === ACCESS && isMinimal(acl))) this.xattrs?.discard(name);
    else this.writableXattrs.set(name, encodeAcl(acl), flags);
    if (acl !== undefined && name === ACCESS) this.mode = withAcl(this.mode, acl);
  }

  /** Takes over what a directory hands on to what is made in it: its default list in the umask's place. */
  inheritAcls(directory: Inode, umask: number): void {
    if (this.target !== undefined) return;
    const acl = directory.#acl(DEFAULT);
    if (acl === undefined) {
      this.mode &= ~(umask & MODE_BITS);
      return;
    }
    const access = inheritAcl(acl, this.mode);
    if (!isMinimal(access)) this.writableXattrs.set(ACCESS, encodeAcl(access), 0);
    this.mode = withAcl(this.mode, access);
    if (this.entries !== undefined) this.writableXattrs.set(DEFAULT, encodeAcl(acl), 0);
  }

  #acl(name: string): Acl | undefined {
    const value = this.xattrs?.find(name);
    return value && decodeAcl(value);
  }

  /** Gives back all space that it takes. */
  release(): void {
    this.contents?.erase(0, Infinity);
    this.xattrs?.clear();
    this.#space.takeHeap(-targetCost(this));
  }

  /** Whether it is the caller's, or the caller may write it. */
  mayWrite(caller: Caller): boolean {
    if (caller.uid === ROOT_UID || caller.uid === this.uid) return true;
    const acl = this.#acl(ACCESS);
    if (acl !== undefined) return letsWrite(acl, caller.uid, this.gid, (gid) => isMember(caller, gid));
    return (this.mode & (isMember(caller, this.gid) ? S_IWGRP : S_IWOTH)) !== 0;
  }

  /**
   * Takes off the bits that let a program run with the file's rights, before a change by a caller without `CAP_FSETID`.
   * Where the group may not execute, a member of it keeps set-group-ID, as `setattr_should_drop_sgid` of Linux has it.
   * Capabilities go with each change of contents or owner.
   */
  killPrivileges(caller: Caller): void {
    if (!hasSetIdBits(this.mode)) return;
    this.mode &= ~S_ISUID;
    if (this.mode & S_IXGRP || !isMember(caller, this.gid)) this.mode &= ~S_ISGID;
  }

  /** Takes the capabilities off; what is no capability stays, as on ext4. */
  dropCapabilities(): void {
    if (this.xattrs?.find(CAPABILITIES)?.length) this.xattrs.discard(CAPABILITIES);
  }
}

/** Type, permissions and group that a new node gets in a directory: a set-group-ID directory hands its group on. */
export function inherit(directory: Inode, init: InodeInit): InodeInit {
  if (!(directory.mode & S_ISGID)) return init;
  const isDirectory = (init.mode & S_IFMT) === S_IFDIR;
  return { ...init, gid: directory.gid, mode: isDirectory ? init.mode | S_ISGID : init.mode };
}
