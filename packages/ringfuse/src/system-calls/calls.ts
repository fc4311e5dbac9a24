import { binding } from '../native.ts';

/**
 * System calls that a filesystem over another one needs and `node:fs` does not have. Each is as its man page says,
 * with numbers as arguments, and names as bytes without a NUL ({@link encodeName}).
 *
 * A result below 0 is an errno, negative: nothing throws but an argument of the wrong type. What is more than a number
 * is written into memory that the caller gives. They block, as system calls do; most take about a microsecond.
 */
export interface SystemCalls {
  /** `openat(2)`, always with `O_CLOEXEC`: a descriptor. `dir` may be {@link AT_FDCWD}, as for all that take one. */
  openat(dir: number, path: Uint8Array, flags: number, mode: number): number;
  /**
   * Opens what `fd` is once more, with other flags: the way from an `O_PATH` descriptor to one to read and write. It
   * goes by /proc/self/fd, to the file itself and not to a name of it.
   */
  reopen(fd: number, flags: number): number;
  /** `close(2)`. The descriptor is gone whatever it returns. */
  close(fd: number): number;
  /** `close(2)` of a duplicate: what it has to say of writes that failed, while `fd` stays open. */
  closeDuplicate(fd: number): number;
  /** `pread(2)`: how many bytes were read. */
  pread(fd: number, bytes: Uint8Array, offset: number): number;
  /** `pwrite(2)`: how many bytes were written. With `O_APPEND` they go to the end, wherever `offset` is. */
  pwrite(fd: number, bytes: Uint8Array, offset: number): number;
  /**
   * `pwritev2(2)` with the `RWF_*` flags of this one write; EOPNOTSUPP, and nothing written, where the file cannot
   * have them.
   */
  pwriteFlags(fd: number, bytes: Uint8Array, offset: number, flags: number): number;
  /** `ftruncate(2)`. */
  ftruncate(fd: number, length: number): number;
  /** `fallocate(2)`. */
  fallocate(fd: number, mode: number, offset: number, length: number): number;
  /** `copy_file_range(2)`: how many bytes were copied. */
  copyFileRangeAt(from: number, fromOffset: number, to: number, toOffset: number, length: number): number;
  /** `lseek(2)`, with `SEEK_DATA` (3) and `SEEK_HOLE` (4) too: the offset. */
  lseek(fd: number, offset: number, whence: number): number;
  /** `lseek(2)` of a directory, to a position of 63 bits as {@link directoryEntries} has them. */
  seekdir(fd: number, position: bigint): number;
  /** `fsync(2)`. */
  fsync(fd: number): number;
  /** `fdatasync(2)`. */
  fdatasync(fd: number): number;
  /** `syncfs(2)`. */
  syncfs(fd: number): number;
  /**
   * `ioctl(2)` for the flags of a file: the commands `FS_IOC_GETFLAGS`, `FS_IOC_SETFLAGS`, `FS_IOC_GETVERSION`,
   * `FS_IOC_FSGETXATTR` and `FS_IOC_FSSETXATTR`; ENOTTY for others.
   */
  ioctlFlags(fd: number, command: number, argument: Uint8Array): number;

  /** `mkdirat(2)`. */
  mkdirat(dir: number, path: Uint8Array, mode: number): number;
  /** `mknodat(2)`; `rdev` is as in requests. */
  mknodat(dir: number, path: Uint8Array, mode: number, rdev: number): number;
  /** `symlinkat(2)`. */
  symlinkat(target: Uint8Array, dir: number, path: Uint8Array): number;
  /**
   * `linkat(2)`; `flags` are `AT_EMPTY_PATH` and `AT_SYMLINK_FOLLOW`. With `AT_EMPTY_PATH` and an empty path it links
   * what `from` is, and needs no capability for it.
   */
  linkat(from: number, path: Uint8Array, to: number, newPath: Uint8Array, flags: number): number;
  /** `unlinkat(2)`, with `AT_REMOVEDIR` if `directory`. */
  unlinkat(dir: number, path: Uint8Array, directory: boolean): number;
  /** `renameat2(2)`; `flags` are `RENAME_*`. */
  renameat2(from: number, path: Uint8Array, to: number, newPath: Uint8Array, flags: number): number;
  /** `readlinkat(2)`: how many bytes there are. An empty path is the link that `dir` is (`O_PATH`). */
  readlinkat(dir: number, path: Uint8Array, bytes: Uint8Array): number;
  /** `getdents64(2)`: how many bytes were written, for {@link directoryEntries}; 0 at the end. */
  getdents64(fd: number, bytes: Uint8Array): number;

  /** `statx(2)` into 256 bytes: see {@link Statx}. `flags` are `AT_*`, `mask` is `STATX_*`. */
  statx(dir: number, path: Uint8Array, flags: number, mask: number, bytes: Uint8Array): number;
  /** `statx(2)` of what `fd` is (`O_PATH` too). */
  fstatx(fd: number, flags: number, mask: number, bytes: Uint8Array): number;
  /** `fstatfs(2)` into 120 bytes: see {@link Statfs}. `O_PATH` will do. */
  fstatfs(fd: number, bytes: Uint8Array): number;
  /**
   * `faccessat2(2)` with `AT_EACCESS` (Linux 5.8) of what `fd` is (`O_PATH` too): 0 if this thread may use it as `mode`
   * says.
   */
  faccess(fd: number, mode: number): number;
  /** `fchmod(2)`, and `O_PATH` will do (`fchmodat2(2)` of Linux 6.6, or /proc). */
  fchmod(fd: number, mode: number): number;
  /** `fchown(2)`, and `O_PATH` will do; -1 leaves an id as it is. */
  fchown(fd: number, uid: number, gid: number): number;
  /**
   * `futimens(3)`, and `O_PATH` will do (Linux 5.8): seconds and nanoseconds of the last access, then of the last
   * change. Nanoseconds may be `UTIME_NOW` or `UTIME_OMIT`.
   */
  futimens(fd: number, atime: number, atimeNsec: number, mtime: number, mtimeNsec: number): number;

  /** `fgetxattr(2)`, and `O_PATH` will do: how many bytes there are. With no bytes to fill: how many it takes. */
  getxattr(fd: number, name: Uint8Array, bytes: Uint8Array): number;
  /** `fsetxattr(2)`, and `O_PATH` will do. */
  setxattr(fd: number, name: Uint8Array, value: Uint8Array, flags: number): number;
  /** `flistxattr(2)`, and `O_PATH` will do: names with a NUL each. With no bytes to fill: how many it takes. */
  listxattr(fd: number, bytes: Uint8Array): number;
  /** `fremovexattr(2)`, and `O_PATH` will do. */
  removexattr(fd: number, name: Uint8Array): number;

  /**
   * `openat(2)` that makes a file as another user makes it: theirs, with the mode that their umask, or the directory's
   * default ACL, leaves of `mode`. Their rights count, as in {@link SystemCalls.beginCaller}. A `uid` of -1 is this
   * process. It is complete when the call returns.
   */
  openatAs(
    dir: number,
    path: Uint8Array,
    flags: number,
    mode: number,
    umask: number,
    uid: number,
    gid: number,
    groups: Uint8Array,
    kept: number,
  ): number;
  /** `mkdirat(2)`, as {@link SystemCalls.openatAs}. */
  mkdiratAs(
    dir: number,
    path: Uint8Array,
    mode: number,
    umask: number,
    uid: number,
    gid: number,
    groups: Uint8Array,
    kept: number,
  ): number;
  /** `mknodat(2)`, as {@link SystemCalls.openatAs}; `rdev` is as in requests. */
  mknodatAs(
    dir: number,
    path: Uint8Array,
    mode: number,
    rdev: number,
    umask: number,
    uid: number,
    gid: number,
    groups: Uint8Array,
    kept: number,
  ): number;
  /**
   * Gives this thread its own umask, root and working directory (`unshare(2)` with `CLONE_FS`), which makes
   * {@link SystemCalls.openatAs} and its like faster. Only for a thread that runs nobody else's code.
   */
  unshareUmask(): number;

  /** What this thread makes is the user's until {@link SystemCalls.endIdentity}: see {@link asUser}. */
  beginIdentity(uid: number, gid: number): number;
  /** This thread acts as a user with these groups until {@link SystemCalls.endIdentity}: see {@link asCaller}. */
  beginCaller(uid: number, gid: number, groups: Uint8Array, kept: number): number;
  /** The thread is itself again. */
  endIdentity(): void;
  /**
   * Puts one of the first 32 `CAP_*` of this thread out of effect, or into it: 1 if it was in effect, or 0. See
   * {@link withoutCapability}.
   */
  setCapability(capability: number, effective: boolean): number;
  /**
   * Lets the process have up to `wanted` descriptors, with `CAP_SYS_RESOURCE` beyond its hard limit: how many it may
   * have then.
   */
  raiseDescriptorLimit(wanted: number): number;
}

/**
 * The system calls of this machine.
 *
 * @throws FuseError `ERR_RINGFUSE_NATIVE` if the native addon does not load.
 */
export function systemCalls(): SystemCalls {
  return binding();
}
