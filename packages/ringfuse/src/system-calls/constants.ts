/** Constants of system calls that `node:fs` and `node:os` do not have: the same on x64 and arm64. */

/** For `dir`: a path is relative to the working directory. */
export const AT_FDCWD: number = -100;
export const AT_SYMLINK_NOFOLLOW: number = 0x100;
export const AT_SYMLINK_FOLLOW: number = 0x400;
/** A name on which something would be mounted when it is used is looked at as it is. */
export const AT_NO_AUTOMOUNT: number = 0x800;
export const AT_EMPTY_PATH: number = 0x1000;
/** Attributes as they are known, without asking a server. */
export const AT_STATX_DONT_SYNC: number = 0x4000;

/** A descriptor that names a file, and opens nothing. */
export const O_PATH: number = 0x200000;
/** With `O_DIRECTORY`: a file without a name. */
export const O_TMPFILE: number = 0x400000;

export const STATX_BASIC_STATS: number = 0x7ff;
export const STATX_BTIME: number = 0x800;
export const STATX_MNT_ID: number = 0x1000;
/** As `STATX_MNT_ID`, with a number that no other mount ever has (Linux 6.8): it takes the other's place. */
export const STATX_MNT_ID_UNIQUE: number = 0x4000;

/** Nanoseconds of a time: that of the call. */
export const UTIME_NOW: number = 0x3fffffff;
/** Nanoseconds of a time: it stays as it is. */
export const UTIME_OMIT: number = 0x3ffffffe;

/** Flags of one write, as if the open file had `O_DSYNC`, `O_SYNC` or `O_APPEND`, or not `O_APPEND` (Linux 6.9). */
export const RWF_DSYNC: number = 0x2;
export const RWF_SYNC: number = 0x4;
export const RWF_APPEND: number = 0x10;
export const RWF_NOAPPEND: number = 0x20;

export const CAP_CHOWN: number = 0;
export const CAP_DAC_OVERRIDE: number = 1;
export const CAP_FOWNER: number = 3;
export const CAP_FSETID: number = 4;
export const CAP_MKNOD: number = 27;
