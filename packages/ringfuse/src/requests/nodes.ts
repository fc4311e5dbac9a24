/** Requests on a node itself: attributes, links, permissions, the filesystem's figures, and its forgetting. */

import type { AttributesReply, StatfsReply, StatxReply, Timespec } from '../attributes.ts';
import { ACCESS_IN, FATTR, GETATTR_IN, SETATTR_IN, STATX_IN } from '../generated/layout.ts';
import { readSeconds } from '../numbers.ts';
import { writeAttributes, writeStatx } from '../replies/attributes.ts';
import { writeLink } from '../replies/data.ts';
import { writeStatfs } from '../replies/statfs.ts';
import { ARGUMENTS, FuseRequest, NodeRequest, readSize, readU64 } from '../request.ts';
import type { Slot } from '../slot.ts';

/** One node of a {@link ForgetRequest}. */
export interface Forget {
  readonly ino: number;
  /** How many lookups the kernel takes back. At 0 outstanding lookups, `ino` may be freed. */
  readonly nlookup: number;
}

/** The kernel drops references to nodes. There is no reply; FORGET and BATCH_FORGET both come as this. */
export class ForgetRequest extends FuseRequest<void> {
  declare readonly op: 'forget';
  readonly forgets: readonly Forget[];

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.forgets = slot.forgets();
  }
}

/** The attributes of `ino`. */
export class GetattrRequest extends NodeRequest<AttributesReply> {
  declare readonly op: 'getattr';
  /**
   * The handle of the open file that the kernel needs the attributes for, as to read at its end. `fstat(2)` names
   * none.
   */
  readonly fh: number | undefined;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    const flags = header.getUint32(ARGUMENTS + GETATTR_IN.getattr_flags, true);
    this.fh = flags & 1 ? readU64(header, ARGUMENTS + GETATTR_IN.fh) : undefined;
  }

  /** @internal */
  override encode(reply: AttributesReply): number {
    return writeAttributes(this.live(), reply, this.ino);
  }
}

/**
 * The attributes of `ino` as `statx(2)` has them: sent when a caller asks for the birth time. Without a handler
 * the kernel takes `getattr` instead.
 */
export class StatxRequest extends NodeRequest<StatxReply> {
  declare readonly op: 'statx';
  /** The handle of the open file that was asked about, if there was one. */
  readonly fh: number | undefined;
  /** `AT_STATX_*` flags: 0 from Linux 6.18. */
  readonly flags: number;
  /** `STATX_*` bits that are asked for: from Linux 6.18 all that it caches, whatever the caller asked for. */
  readonly mask: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    const flags = header.getUint32(ARGUMENTS + STATX_IN.getattr_flags, true);
    this.fh = flags & 1 ? readU64(header, ARGUMENTS + STATX_IN.fh) : undefined;
    this.flags = header.getUint32(ARGUMENTS + STATX_IN.sx_flags, true);
    this.mask = header.getUint32(ARGUMENTS + STATX_IN.sx_mask, true);
  }

  /** @internal */
  override encode(reply: StatxReply): number {
    return writeStatx(this.live(), reply, this.ino);
  }
}

/** Attributes to be set; those that are undefined stay as they are. */
export interface SetAttributes {
  /** Permission bits (with the file type, which does not change). */
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly size: number | undefined;
  /** A time, or `'now'` for the server's own clock (`UTIME_NOW`). */
  readonly atime: Timespec | 'now' | undefined;
  /** A time, or `'now'` for the server's own clock (`UTIME_NOW`). */
  readonly mtime: Timespec | 'now' | undefined;
  /** Sent only where the kernel keeps the times (`WRITEBACK_CACHE`). */
  readonly ctime: Timespec | undefined;
}

/** A time; one that no number of seconds is becomes the nearest that is, without nanoseconds, as on ext4. */
function readTime(header: DataView, at: number, atNanoseconds: number): Timespec {
  const sec = readSeconds(header, at);
  return { sec, nsec: Math.abs(sec) === Number.MAX_SAFE_INTEGER ? 0 : header.getUint32(atNanoseconds, true) };
}

/** Change attributes of `ino`. The reply is all of its attributes. */
export class SetattrRequest extends NodeRequest<AttributesReply> {
  declare readonly op: 'setattr';
  /** The kernel's `FATTR_*` bits: which attributes are set. */
  readonly valid: number;
  /** The handle of the open file that `ftruncate(2)` and its like were called on, if there was one. */
  readonly fh: number | undefined;
  /** What to set. */
  readonly attr: SetAttributes;
  /** The owner of the locks that a file is truncated under, where the kernel names one: opaque. */
  readonly lockOwner: bigint | undefined;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    const valid = header.getUint32(ARGUMENTS + SETATTR_IN.valid, true);
    const u32 = (flag: number, field: number): number | undefined =>
      valid & flag ? header.getUint32(ARGUMENTS + field, true) : undefined;
    const time = (flag: number, sec: number, nsec: number): Timespec | undefined =>
      valid & flag ? readTime(header, ARGUMENTS + sec, ARGUMENTS + nsec) : undefined;
    const atime = time(FATTR.ATIME, SETATTR_IN.atime, SETATTR_IN.atimensec);
    const mtime = time(FATTR.MTIME, SETATTR_IN.mtime, SETATTR_IN.mtimensec);
    this.valid = valid;
    this.fh = valid & FATTR.FH ? readU64(header, ARGUMENTS + SETATTR_IN.fh) : undefined;
    this.lockOwner =
      valid & FATTR.LOCKOWNER ? header.getBigUint64(ARGUMENTS + SETATTR_IN.lock_owner, true) : undefined;
    this.attr = {
      mode: u32(FATTR.MODE, SETATTR_IN.mode),
      uid: u32(FATTR.UID, SETATTR_IN.uid),
      gid: u32(FATTR.GID, SETATTR_IN.gid),
      size: valid & FATTR.SIZE ? readSize(header, ARGUMENTS + SETATTR_IN.size) : undefined,
      atime: valid & FATTR.ATIME_NOW ? 'now' : atime,
      mtime: valid & FATTR.MTIME_NOW ? 'now' : mtime,
      ctime: time(FATTR.CTIME, SETATTR_IN.ctime, SETATTR_IN.ctimensec),
    };
  }

  /** @internal */
  override encode(reply: AttributesReply): number {
    return writeAttributes(this.live(), reply, this.ino);
  }
}

// What a first `setattr` looks for on the request itself: without an error a file would not be truncated, and nobody
// would know. `uid` and `gid` are the caller's there.
for (const field of ['mode', 'size', 'atime', 'mtime', 'ctime']) {
  Object.defineProperty(SetattrRequest.prototype, field, {
    enumerable: true,
    get(): never {
      throw new TypeError(
        `setattr: the request has no ${field}: the new attributes are in attr, here attr.${field}`,
      );
    },
  });
}

/** What the symbolic link `ino` says. */
export class ReadlinkRequest extends NodeRequest<string | Uint8Array> {
  declare readonly op: 'readlink';

  /** @internal */
  override encode(reply: string | Uint8Array): number {
    return writeLink(this.live(), reply);
  }
}

/** May the caller use `ino` so? Not sent with `defaultPermissions`. Fail with `EACCES` if not. */
export class AccessRequest extends NodeRequest<void> {
  declare readonly op: 'access';
  /** `R_OK` (4), `W_OK` (2), `X_OK` (1), as `access(2)`. */
  readonly mask: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.mask = slot.header.getUint32(ARGUMENTS + ACCESS_IN.mask, true);
  }
}

/** The figures of the filesystem that `ino` is on. */
export class StatfsRequest extends NodeRequest<StatfsReply> {
  declare readonly op: 'statfs';

  /** @internal */
  override encode(reply: StatfsReply): number {
    return writeStatfs(this.live(), reply);
  }
}

/** Make the whole filesystem durable (`syncfs(2)`). Linux sends it to `fuseblk` (6.18) and virtiofs. */
export class SyncfsRequest extends NodeRequest<void> {
  declare readonly op: 'syncfs';
}

/** The filesystem ends. The kernel sends it to few servers (`fuseblk`); the end of the loop is the sign. */
export class DestroyRequest extends FuseRequest<void> {
  declare readonly op: 'destroy';
}
