/** Requests on open files. */

import fs, { constants } from 'node:fs';
import os from 'node:os';
import { promisify } from 'node:util';
import { type CreateReply, FOPEN, FuseError, type Handlers, type OpenReply } from 'ringfuse';
import {
  check,
  O_PATH,
  O_TMPFILE,
  RWF_APPEND,
  RWF_DSYNC,
  RWF_NOAPPEND,
  RWF_SYNC,
  type SystemCalls,
} from 'ringfuse/system-calls';
import type { BackingFiles, MirrorMount } from './backing-files.ts';
import type { LeaseWaits } from './leases.ts';
import type { Privileges } from './privileges.ts';
import type { Rights } from './rights.ts';
import type { Source } from './source.ts';

const { O_APPEND, O_CREAT, O_DIRECT, O_DIRECTORY, O_DSYNC, O_EXCL, O_NOATIME, O_NOFOLLOW } = constants;
const { O_NONBLOCK, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = constants;
const O_ACCMODE = O_RDONLY | O_WRONLY | O_RDWR;
const { EACCES, EEXIST, EOPNOTSUPP, EPERM } = os.constants.errno;

/** `FUSE_OPEN_*` and `FUSE_WRITE_*` flags: privileges are to be taken off. */
const OPEN_KILL_SUIDGID = 1;
const WRITE_KILL_SUIDGID = 4;

/** `FUSE_WRITE_CACHE`: the kernel writes pages back, by whichever open file it has. */
const WRITE_CACHE = 1;

/** Bytes that are copied at once, at most: nothing else is served meanwhile. */
const LONGEST_COPY = 16 << 20;

/** Bits of an ioctl command that are the size of its argument. */
const IOCTL_SIZE_SHIFT = 16;
const IOCTL_SIZE_MASK = 0x3fff;

/** `FS_IOC_SETFLAGS` and `FS_IOC_FSSETXATTR`. They change `ctime`, which the kernel above does not notice. */
const SETS_FLAGS: ReadonlySet<number> = new Set([0x40086602, 0x401c5820]);

/** The offset in `notify.invalInode` with which pages stay. */
const ONLY_ATTRIBUTES = -1;

const DOT = Buffer.from('.');

/**
 * The `fh` of a file that only the kernel has open, by the node's backing file: no descriptor's number. Nearly all files
 * that are read are only read, so that it need not be opened here too.
 */
const KERNEL_ONLY = 0x7fff_ffff;

/** Of an open without any of these the kernel needs nothing but the backing file. */
const NEEDS_OPEN = O_ACCMODE | O_TRUNC | O_DIRECT;

/**
 * The caller's flags that a descriptor here has too. `fcntl(2)` changes none of them but `O_NOATIME`, for which the
 * flags of the `open` count. O_APPEND and the others that it changes come with each request, and never belong on the
 * descriptor: the kernel also writes pages back by it. Direct I/O ends here: what is beneath is read and written by
 * its page cache, so that a caller may change to any other size and place.
 */
const KEPT_FLAGS = O_TRUNC | O_DSYNC | O_SYNC | O_NOATIME;

/**
 * The kernel opens a backing file with the flags of the caller's `open(2)`, and does not see what `fcntl(2)` takes back
 * (`backing_file_open`, Linux 6.18; a flag that is added is heeded or does no harm). Reads and writes of files that are
 * opened with one of these are requests, while their mappings are the backing file's.
 */
const FIXED_BY_PASSTHROUGH = O_APPEND | O_DIRECT;

/** Flags of requests that are flags of one write. */
const WRITE_FLAGS = O_APPEND | O_SYNC | O_DSYNC;

/** The kernel looks the name up again then, and opens what it finds, with the caller's rights. */
const FOUND_IN_BETWEEN = new FuseError('ESTALE');

const fsync = promisify(fs.fsync);
const fdatasync = promisify(fs.fdatasync);

/** Their handlers. */
export function fileHandlers(
  source: Source,
  backing: BackingFiles,
  privileges: Privileges,
  rights: Rights,
  leases: LeaseWaits,
  notify: MirrorMount['notify'],
): Handlers {
  const { calls, nodes } = source;
  const { directIo, writeback } = source.options;

  /**
   * The flags to open with here. A cache above reads what it writes a part of. O_NONBLOCK is this process's own: no open
   * waits.
   */
  const flagsOf = (flags: number): number => {
    const access = writeback && (flags & O_ACCMODE) === O_WRONLY ? O_RDWR : flags & O_ACCMODE;
    return access | (flags & KEPT_FLAGS) | O_NONBLOCK;
  };

  /** Drops cached attributes, which changed past the kernel above. At the end of the mount there are none left. */
  const attributesChanged = (ino: number): Promise<unknown> =>
    notify.invalInode(ino, ONLY_ATTRIBUTES).catch(() => undefined);

  /** The reply to an open. Where the kernel has no backing file, `uncached` says that each read and write is a request. */
  const opened = (ino: number, fd: number, flags: number, uncached = directIo): OpenReply => {
    // Without direct I/O the source says EINVAL; with a backing file, the kernel would make EIO of that.
    if (flags & O_DIRECT) {
      const probe = (flags & (O_ACCMODE | O_APPEND | O_DIRECT)) | O_NONBLOCK;
      check(calls.close(check(calls.reopen(fd, probe))));
    }
    // Nothing was written, or all that can go wrong was told by `write`.
    const silent = !mayWrite(flags) || source.device(fd).local;
    const backingId = backing.open(ino, mayWrite(flags));
    const direct = backingId === 0 ? uncached : flags & FIXED_BY_PASSTHROUGH;
    const mappable = backingId !== 0 && (flags & O_ACCMODE) === O_RDWR;
    if (mappable && source.setMappable(ino)) void attributesChanged(ino);
    return {
      fh: nodes.hold(fd),
      backingId,
      openFlags:
        (backingId === 0 ? 0 : FOPEN.PASSTHROUGH) |
        (direct ? FOPEN.DIRECT_IO : 0) |
        (silent ? FOPEN.NOFLUSH : 0),
    };
  };

  const openToRead = (ino: number): number =>
    check(calls.reopen(source.descriptor(ino), O_RDONLY | O_NONBLOCK));

  /** Calls `use` with a descriptor of an open file, for as long as that takes. */
  const withFile = <T>(
    { ino, fh }: { readonly ino: number; readonly fh: number },
    use: (fd: number) => T,
  ): T => {
    if (fh !== KERNEL_ONLY) return use(fh);
    const fd = openToRead(ino);
    try {
      return use(fd);
    } finally {
      calls.close(fd);
    }
  };

  /** A new file, open as `fd`, which this takes over. */
  const created = (fd: number, flags: number): CreateReply => {
    let ino = 0;
    try {
      const entry = source.enter(check(calls.reopen(fd, O_PATH)));
      ino = entry.ino;
      return { ...entry, ...opened(ino, fd, flags), attrTimeout: source.attrTimeout(ino, entry.attr.mode) };
    } catch (error) {
      if (ino !== 0) backing.forget(ino, 1);
      calls.close(fd);
      throw error;
    }
  };

  return {
    open(request) {
      const { ino, flags, openFlags } = request;
      const backingId = flags & NEEDS_OPEN ? 0 : backing.openAgain(ino);
      if (backingId !== 0) {
        return { fh: KERNEL_ONLY, backingId, openFlags: FOPEN.PASSTHROUGH | FOPEN.NOFLUSH };
      }
      const open = (): OpenReply => {
        const node = source.descriptor(ino);
        const kills = flags & O_TRUNC && openFlags & OPEN_KILL_SUIDGID;
        const reopen = (own: number): number => {
          const make = (): number => calls.reopen(node, own);
          return kills ? privileges.change(request, node, make) : make();
        };
        const usual = flagsOf(flags);
        const own = allowed(usual, flags, reopen);
        const { fd } = own;
        try {
          // Cached, contents end at their size, and parts of pages are read before they are written.
          const reads = (own.flags & O_ACCMODE) !== O_WRONLY;
          const uncached = directIo || own.flags !== usual || (reads && !source.hasEnd(fd));
          return opened(ino, fd, flags, uncached);
        } catch (error) {
          calls.close(fd);
          throw error;
        }
      };
      return flags & O_NONBLOCK ? open() : leases.after(request, open);
    },

    create(request) {
      const { parent, nameBytes, flags, mode, umask } = request;
      const dir = source.descriptor(parent);
      const { uid, gid, groups, kept } = rights.maker(request, dir, mode);
      // Always a new file: nobody has checked whether the caller may open another one.
      const own = flagsOf(flags) | O_CREAT | O_EXCL | O_NOFOLLOW;
      const fd = calls.openatAs(dir, nameBytes, own, mode, umask, uid, gid, groups, kept);
      if (fd === -EEXIST && !(flags & O_EXCL)) throw FOUND_IN_BETWEEN;
      return created(check(fd), flags);
    },

    tmpfile(request) {
      const { parent, flags, mode, umask } = request;
      const dir = source.descriptor(parent);
      const { uid, gid, groups, kept } = rights.maker(request, dir, mode);
      const own = flagsOf(flags) | O_TMPFILE | O_DIRECTORY;
      const fd = calls.openatAs(dir, DOT, own, mode, umask, uid, gid, groups, kept);
      return created(check(fd), flags);
    },

    read({ fh, offset, unsafeBuffer }) {
      return check(calls.pread(fh, unsafeBuffer, offset));
    },

    write(request) {
      const { fh, offset, data, flags, writeFlags } = request;
      const write = (): number =>
        check(
          writeFlags & WRITE_CACHE
            ? writeWith(calls, fh, data, offset, RWF_NOAPPEND)
            : writeAs(calls, fh, data, offset, flags),
        );
      return writeFlags & WRITE_KILL_SUIDGID ? privileges.change(request, fh, write) : write();
    },

    flush({ fh }) {
      check(calls.closeDuplicate(fh));
    },

    release({ ino, fh, flags }) {
      if (fh !== KERNEL_ONLY) nodes.release(fh);
      backing.release(ino, mayWrite(flags));
    },

    // These wait for the disk: other requests are served meanwhile.
    fsync({ ino, fh, datasync }) {
      const sync = datasync ? fdatasync : fsync;
      if (fh !== KERNEL_ONLY) return sync(fh);
      const fd = openToRead(ino);
      return sync(fd).finally(() => calls.close(fd));
    },
    fsyncdir: ({ fh, datasync }) => (datasync ? fdatasync(fh) : fsync(fh)),

    syncfs({ ino }) {
      const fd = check(calls.openat(source.descriptor(ino), DOT, O_RDONLY | O_DIRECTORY, 0));
      try {
        check(calls.syncfs(fd));
      } finally {
        calls.close(fd);
      }
    },

    // What is in the write-back cache alone (the kernel does not write it first) would be a hole: with ENOSYS the kernel
    // takes the whole file for data.
    lseek: writeback
      ? undefined
      : (request) => withFile(request, (fd) => check(calls.lseek(fd, request.offset, request.whence))),

    fallocate(request) {
      const { fh, mode, offset, length } = request;
      privileges.changeContents(request, fh, () => check(calls.fallocate(fh, mode, offset, length)));
    },

    copy_file_range(request) {
      const { offset, newFh, newOffset, flags } = request;
      if (flags !== 0) throw new FuseError('EINVAL');
      const length = Math.min(request.length, LONGEST_COPY);
      return withFile(request, (fd) =>
        privileges.changeContents(request, newFh, () =>
          check(calls.copyFileRangeAt(fd, offset, newFh, newOffset, length)),
        ),
      );
    },

    ioctl(request) {
      const { cmd, data, outSize } = request;
      const size = (cmd >>> IOCTL_SIZE_SHIFT) & IOCTL_SIZE_MASK;
      const argument = Buffer.alloc(Math.max(size, data.length, outSize));
      data.copy(argument);
      const result = withFile(request, (fd) =>
        rights.asOwner(request, () => check(calls.ioctlFlags(fd, cmd, argument))),
      );
      const reply = { result, data: argument.subarray(0, outSize) };
      return SETS_FLAGS.has(cmd) ? attributesChanged(request.ino).then(() => reply) : reply;
    },
  };
}

/** Whether an open file with these flags may be written. */
function mayWrite(flags: number): boolean {
  return (flags & O_ACCMODE) !== O_RDONLY;
}

/** Writes as an open file with `flags` would: to the end, or with what is written on the disk. */
function writeAs(calls: SystemCalls, fd: number, data: Uint8Array, offset: number, flags: number): number {
  if ((flags & WRITE_FLAGS) === 0) return calls.pwrite(fd, data, offset);
  const sync = (flags & O_SYNC) === O_SYNC ? RWF_SYNC : flags & O_DSYNC ? RWF_DSYNC : 0;
  return writeWith(calls, fd, data, offset, sync | (flags & O_APPEND ? RWF_APPEND : 0));
}

/** Writes with `RWF_*` flags, or without where there are none: files of procfs have no end to append to. */
function writeWith(calls: SystemCalls, fd: number, data: Uint8Array, offset: number, flags: number): number {
  const written = calls.pwriteFlags(fd, data, offset, flags);
  return written === -EOPNOTSUPP ? calls.pwrite(fd, data, offset) : written;
}

/**
 * Opens a file for a caller who gave `flags`, with `own` flags if the file allows them, and otherwise with what it does
 * allow: a file that its owner may not read is opened for writing alone, and an append-only file with O_APPEND. An
 * append-only file that could also be read could be mapped, and the kernel above would let the caller write the mapping:
 * it does not see the attribute.
 */
function allowed(
  own: number,
  flags: number,
  open: (flags: number) => number,
): { readonly fd: number; readonly flags: number } {
  let tried = own;
  let fd = open(tried);
  if (fd === -EACCES && (tried & O_ACCMODE) !== (flags & O_ACCMODE)) {
    tried = (tried & ~O_ACCMODE) | (flags & O_ACCMODE);
    fd = open(tried);
  }
  if (fd === -EPERM && flags & O_APPEND && (flags & O_ACCMODE) === O_WRONLY) {
    tried |= O_APPEND;
    fd = open(tried);
  }
  return { fd: check(fd), flags: tried };
}
