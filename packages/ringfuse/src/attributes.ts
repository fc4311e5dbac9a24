/**
 * The values that requests and replies are made of: times, attributes, entries.
 * Names follow `struct fuse_attr` and `struct fuse_entry_out` of `linux/fuse.h` 7.45 and `stat(2)`.
 */

/** A point in time, exact to the nanosecond: `tv_sec` (may be negative) and `tv_nsec` (0 … 999 999 999). */
export interface Timespec {
  readonly sec: number;
  readonly nsec: number;
}

/**
 * A time in any form that Node programs use: a {@link Timespec}, a `Date`, milliseconds since the epoch
 * (as `fs.Stats.mtimeMs`), or nanoseconds since the epoch as a bigint (as `fs.BigIntStats.mtimeNs`).
 */
export type Time = Timespec | Date | number | bigint;

/**
 * What `stat(2)` shows of a file. An `fs.Stats` object is one. Absent fields have the value that is named.
 */
export interface Attributes {
  /** File type and permission bits, as `st_mode` (`fs.constants.S_IFREG | 0o644`). */
  readonly mode: number;
  /** Bytes. Default 0. */
  readonly size?: number | bigint;
  /** Allocated blocks of 512 bytes. Default: as many as `size` needs. */
  readonly blocks?: number | bigint;
  /** Number of hard links. Default 1. */
  readonly nlink?: number;
  /** Owner. Default 0. */
  readonly uid?: number;
  /** Group. Default 0. */
  readonly gid?: number;
  /** Device number of a character or block device. Default 0. */
  readonly rdev?: number;
  /** Preferred size of an I/O, bytes. Default 4096. */
  readonly blksize?: number;
  /** `st_ino` as programs see it. Default: the node's `ino`. */
  readonly ino?: number | bigint;
  /** Last access. Default: the epoch. */
  readonly atime?: Time;
  /** Last change of the contents. Default: the epoch. */
  readonly mtime?: Time;
  /** Last change of the attributes. Default: the epoch. */
  readonly ctime?: Time;
}

/** What `statx(2)` shows of a file beyond {@link Attributes}. */
export interface ExtendedAttributes extends Attributes {
  /** When the file was made. Default: not told. */
  readonly birthtime?: Time;
  /** `STATX_ATTR_*` bits that are set. Linux (6.18) does not pass them on. Default 0. */
  readonly attributes?: number;
  /** `STATX_ATTR_*` bits that the filesystem knows. Default: those of `attributes`. */
  readonly attributesMask?: number;
}

/** The reply to `statx`. */
export interface StatxReply {
  readonly attr: ExtendedAttributes;
  /** Seconds for which the kernel may answer `stat` itself. Default: the mount's `attrTimeout`. */
  readonly attrTimeout?: number;
}

/** A reply that carries attributes: `getattr`, `setattr`. */
export interface AttributesReply {
  readonly attr: Attributes;
  /** Seconds for which the kernel may answer `stat` itself. Default: the mount's `attrTimeout`. */
  readonly attrTimeout?: number;
}

/**
 * A reply that names a node: `lookup`, `mknod`, `mkdir`, `symlink`, `link`, and part of `create` and
 * `readdirplus`. Each such reply adds one to the kernel's lookup count of `ino`; `forget` takes them back.
 */
export interface EntryReply extends AttributesReply {
  /** The node's number, chosen by the filesystem: 1 is the root, at most `Number.MAX_SAFE_INTEGER`. */
  readonly ino: number;
  /** Told apart from an earlier node with the same `ino` (NFS export). Default 0. */
  readonly generation?: number | bigint;
  /** Seconds for which the kernel may keep the name. Default: the mount's `entryTimeout`. */
  readonly entryTimeout?: number;
}

/** A name that does not exist, to be cached as such. */
export interface NegativeEntryReply {
  readonly ino: 0;
  /** Seconds for which the kernel may keep that. Default: the mount's `entryTimeout`. */
  readonly entryTimeout?: number;
}

/** The reply to `open` and `opendir`. */
export interface OpenReply {
  /** The handle that later requests on this open file carry: at most `Number.MAX_SAFE_INTEGER`. Default 0. */
  readonly fh?: number;
  /** `FOPEN.*` flags. Default: the mount's choice, `DIRECT_IO` where `directIo` was asked for, otherwise 0. */
  readonly openFlags?: number;
  /** With `FOPEN.PASSTHROUGH`: the `id` of a {@link Backing}. */
  readonly backingId?: number;
}

/** The reply to `create`: the new node, opened. */
export interface CreateReply extends EntryReply, OpenReply {}

/** The reply to `statfs`, in the words of `statvfs(3)`. */
export interface StatfsReply {
  /** Size of the filesystem in units of `frsize`. */
  readonly blocks: number | bigint;
  /** Free blocks. */
  readonly bfree: number | bigint;
  /** Free blocks for unprivileged users. */
  readonly bavail: number | bigint;
  /** Number of inodes. */
  readonly files: number | bigint;
  /** Free inodes. */
  readonly ffree: number | bigint;
  /** Block size, bytes. Default 4096. */
  readonly bsize?: number;
  /** Fragment size, bytes. Default: `bsize`. */
  readonly frsize?: number;
  /** Longest name, bytes. Default 255. */
  readonly namelen?: number;
}

/** One entry of a `readdir` reply. */
export interface DirectoryEntry {
  /** The name; {@link decodeName} says how bytes that are not UTF-8 are kept. */
  readonly name: string | Uint8Array;
  /** `d_ino` as programs see it. */
  readonly ino: number | bigint;
  /** What `offset` of the request is when the listing goes on after this entry: any number but 0. */
  readonly offset: number | bigint;
  /** File type in the `S_IFMT` bits; other bits are ignored. Default: unknown. */
  readonly mode?: number;
}

/**
 * One entry of a `readdirplus` reply. It counts as a lookup of `ino`, but for `.` and `..`, which the kernel
 * does not look up.
 */
export interface DirectoryEntryPlus extends EntryReply {
  /** The name; {@link decodeName} says how bytes that are not UTF-8 are kept. */
  readonly name: string | Uint8Array;
  /** What `offset` of the request is when the listing goes on after this entry: any number but 0. */
  readonly offset: number | bigint;
}
