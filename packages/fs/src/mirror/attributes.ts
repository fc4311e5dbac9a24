/** Requests on attributes, extended ones too. */

import { constants } from 'node:fs';
import { constants as system } from 'node:os';
import { decodeName, FATTR, type Handlers, type SetattrRequest, type StatxReply } from 'ringfuse';
import { check, Statfs, UTIME_NOW, UTIME_OMIT } from 'ringfuse/system-calls';
import type { Caller } from '../callers.ts';
import type { LeaseWaits } from './leases.ts';
import { CAPABILITIES, type Privileges } from './privileges.ts';
import type { Rights } from './rights.ts';
import type { Source } from './source.ts';

const { O_NONBLOCK, O_WRONLY } = constants;
const { ENODATA, EOPNOTSUPP } = system.errno;

/**
 * The bits of SETATTR that change an attribute. With the write-back cache the kernel keeps `ctime` and sends it alone for
 * a `chown(2)` to nobody else; the system beneath keeps its own.
 */
const CHANGES = FATTR.MODE | FATTR.UID | FATTR.GID | FATTR.SIZE | FATTR.ATIME | FATTR.MTIME;

const PERMISSIONS = 0o7777;
const S_ISGID = 0o2000;

/** `FUSE_SETXATTR_ACL_KILL_SGID`: the new ACL's owner may not keep the set-group-ID bit. */
const ACL_KILL_SGID = 1;

const ACCESS_ACL = Buffer.from('system.posix_acl_access');

/** Longest target of a symbolic link, bytes, with a NUL. */
const LONGEST_TARGET = 4096;

const EMPTY = new Uint8Array();

/** Their handlers. */
export function attributeHandlers(
  source: Source,
  privileges: Privileges,
  rights: Rights,
  leases: LeaseWaits,
): Handlers {
  const { calls } = source;
  const { writeback } = source.options;
  const statfs = new Statfs();

  const set = (request: SetattrRequest): StatxReply => {
    const fd = source.descriptor(request.ino);
    const { mode, uid, gid, size, atime, mtime } = request.attr;
    if (!(request.valid & CHANGES)) privileges.setNothing(request, fd);
    if (uid !== undefined || gid !== undefined) {
      rights.asCaller(request, () => check(calls.fchown(fd, uid ?? -1, gid ?? -1)));
    }
    if (size !== undefined) truncate(source, privileges, request, size);
    if (mode !== undefined) {
      const change = (): number => check(calls.fchmod(fd, mode & PERMISSIONS));
      // A member of the file's group keeps the set-group-ID bit.
      if (mode & S_ISGID) rights.asCaller(request, change);
      else rights.asOwner(request, change);
    }
    if (atime !== undefined || mtime !== undefined) {
      const access = timeOf(atime);
      const modification = timeOf(mtime);
      const change = (): number =>
        check(calls.futimens(fd, access.sec, access.nsec, modification.sec, modification.nsec));
      // Times also come with a truncation, and with writes of the cache, in the name of one who may write.
      if (size !== undefined || writeback) change();
      else rights.asOwner(request, change);
    }
    return source.reply(request.ino, fd);
  };

  const changeXattr = (caller: Caller, name: Uint8Array, change: () => number): void => {
    if (isOfSystem(name)) rights.asCaller(caller, change);
    else rights.asOwner(caller, change);
  };

  return {
    getattr: ({ ino }) => source.reply(ino, source.descriptor(ino)),

    statx: ({ ino }) => source.reply(ino, source.descriptor(ino)),

    // A truncation without an open file opens it.
    setattr: (request) => leases.after(request, () => set(request)),

    readlink({ ino }) {
      const target = Buffer.allocUnsafe(LONGEST_TARGET);
      return target.subarray(0, check(calls.readlinkat(source.descriptor(ino), EMPTY, target)));
    },

    statfs({ ino }) {
      check(calls.fstatfs(source.descriptor(ino), statfs.bytes));
      return statfs.reply();
    },

    getxattr(request) {
      const { ino, nameBytes, size } = request;
      const fd = source.descriptor(ino);
      const value = size === 0 ? EMPTY : Buffer.allocUnsafe(size);
      const get = (): number => calls.getxattr(fd, nameBytes, value);
      const length = isOfSystem(nameBytes) && !isAcl(nameBytes) ? rights.asCaller(request, get) : get();
      if (length === -ENODATA) return null;
      // The kernel asks for ACLs before it checks permissions: where the source has none there is none.
      if (length === -EOPNOTSUPP && isAcl(nameBytes)) return null;
      return size === 0 ? Buffer.allocUnsafe(check(length)) : value.subarray(0, check(length));
    },

    setxattr(request) {
      const { ino, nameBytes, value, flags, setxattrFlags } = request;
      const fd = source.descriptor(ino);
      changeXattr(request, nameBytes, () => check(calls.setxattr(fd, nameBytes, value, flags)));
      // The kernel sets the flag for both lists, but the default one changes nobody's permissions.
      if (setxattrFlags & ACL_KILL_SGID && nameBytes.equals(ACCESS_ACL)) {
        const { mode } = source.attributes(fd);
        if (mode & S_ISGID) check(calls.fchmod(fd, mode & PERMISSIONS & ~S_ISGID));
      }
    },

    listxattr({ ino, uid }) {
      const fd = source.descriptor(ino);
      const list = Buffer.allocUnsafe(check(calls.listxattr(fd, EMPTY)));
      return names(list.subarray(0, check(calls.listxattr(fd, list))), uid);
    },

    removexattr(request) {
      const { ino, nameBytes } = request;
      const fd = source.descriptor(ino);
      if (nameBytes.equals(CAPABILITIES)) privileges.removeCapabilities(request, fd);
      changeXattr(request, nameBytes, () => check(calls.removexattr(fd, nameBytes)));
    },
  };
}

/** Sets the size, by the open file if there is one; it takes privileges away where the kernel says so. */
function truncate(source: Source, privileges: Privileges, request: SetattrRequest, size: number): void {
  const { calls } = source;
  const { ino, fh, valid } = request;
  const cut = (fd: number): number => {
    const set = (): number => calls.ftruncate(fd, size);
    return valid & FATTR.KILL_SUIDGID ? privileges.change(request, fd, set) : set();
  };
  if (fh !== undefined) {
    check(cut(fh));
    return;
  }
  const fd = check(calls.reopen(source.descriptor(ino), O_WRONLY | O_NONBLOCK));
  try {
    check(cut(fd));
    // Nobody else hears of what goes wrong late.
    check(calls.closeDuplicate(fd));
  } finally {
    calls.close(fd);
  }
}

/** A time for `futimens`. */
function timeOf(time: SetattrRequest['attr']['atime']): { readonly sec: number; readonly nsec: number } {
  if (time === undefined) return OMITTED;
  return time === 'now' ? NOW : time;
}

const OMITTED = { sec: 0, nsec: UTIME_OMIT };
const NOW = { sec: 0, nsec: UTIME_NOW };

/** The names of a list, each with a NUL. Those of `trusted` are for the superuser, which this process may be. */
function names(list: Buffer, uid: number): string[] {
  const all = decodeName(list).split('\0').slice(0, -1);
  return uid === 0 ? all : all.filter((name) => !name.startsWith('trusted.'));
}

const SYSTEM = Buffer.from('system.');
const ACL = Buffer.from('system.posix_acl_');

/** Whether the kernel leaves it to the filesystem who may read and change an attribute. */
function isOfSystem(name: Uint8Array): boolean {
  return name.length > SYSTEM.length && SYSTEM.equals(name.subarray(0, SYSTEM.length));
}

/** Whether an attribute is one of the two POSIX access control lists. */
function isAcl(name: Uint8Array): boolean {
  return name.length > ACL.length && ACL.equals(name.subarray(0, ACL.length));
}
