/** Requests on open files: contents, space and the life of a handle. */

import type { CreateReply, OpenReply } from '../attributes.ts';
import { copyBytes, firstBytes } from '../bytes.ts';
import { errnoFrom } from '../errors.ts';
import {
  COPY_FILE_RANGE_IN,
  COPY_FILE_RANGE_OUT,
  CREATE_IN,
  FALLOCATE_IN,
  FLUSH_IN,
  FSYNC_IN,
  LSEEK_IN,
  OPCODE,
  OPEN_IN,
  READ,
  READ_IN,
  RELEASE,
  RELEASE_IN,
  WRITE,
  WRITE_IN,
} from '../generated/layout.ts';
import { CertainAnswer, isWide } from '../numbers.ts';
import { writeBytes, writeCopied, writeCount, writeOffset } from '../replies/data.ts';
import { writeCreate, writeOpen } from '../replies/entry.ts';
import { ARGUMENTS, NodeRequest, readSize, readU64 } from '../request.ts';
import type { Slot } from '../slot.ts';
import { CreationRequest } from './creation.ts';

/** `FALLOC_FL_PUNCH_HOLE` of `linux/falloc.h`. */
const PUNCH_HOLE = 2;

/** Replies to requests beyond the end of any file: no bytes, or no error. */
const NOTHING = new CertainAnswer(0);

/** A reply that says 0, of 64 bits or of 32 with a padding. */
const NOTHING_COPIED = new CertainAnswer(0, COPY_FILE_RANGE_OUT.SIZE);

/** `lseek(2)` beyond the end of the file. */
const NO_SUCH_OFFSET = new CertainAnswer(errnoFrom('ENXIO'));

/**
 * Reads the offset in the argument struct's field. One beyond `Number.MAX_SAFE_INTEGER` is beyond the end of any file,
 * unless the filesystem has given one such a size: EOVERFLOW then, as handlers have numbers.
 */
function readOffset({ header, channel }: Slot, field: number, beyond: CertainAnswer): number {
  const at = ARGUMENTS + field;
  if (isWide(header, at) && (header.getInt32(at + 4, true) < 0 || !channel.wide.sizes)) throw beyond;
  return readU64(header, at);
}

/** Open the file `ino`. */
export class OpenRequest extends NodeRequest<OpenReply | undefined> {
  declare readonly op: 'open';
  /** `O_*` flags of `open(2)`, without `O_CREAT`, `O_EXCL` and `O_NOCTTY`. */
  readonly flags: number;
  /** `FUSE_OPEN_*` flags: bit 0, `KILL_SUIDGID`. */
  readonly openFlags: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.flags = slot.header.getUint32(ARGUMENTS + OPEN_IN.flags, true);
    this.openFlags = slot.header.getUint32(ARGUMENTS + OPEN_IN.open_flags, true);
  }

  /** @internal */
  override encode(reply: OpenReply | undefined): number {
    return writeOpen(this.live(), reply);
  }
}

/** Make the file `name` in `parent` and open it, in one step. */
export class CreateRequest extends CreationRequest<CreateReply> {
  declare readonly op: 'create';
  /** `O_*` flags of `open(2)`. */
  readonly flags: number;
  /** Type and permissions; the caller's umask is already taken off, unless `DONT_MASK` was asked for. */
  readonly mode: number;
  readonly umask: number;
  /** `FUSE_OPEN_*` flags: bit 0, `KILL_SUIDGID`. */
  readonly openFlags: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.flags = header.getUint32(ARGUMENTS + CREATE_IN.flags, true);
    this.mode = header.getUint32(ARGUMENTS + CREATE_IN.mode, true);
    this.umask = header.getUint32(ARGUMENTS + CREATE_IN.umask, true);
    this.openFlags = header.getUint32(ARGUMENTS + CREATE_IN.open_flags, true);
  }

  /** @internal */
  override encode(reply: CreateReply): number {
    return writeCreate(this.live(), reply, this.nodeid);
  }
}

/**
 * Make a file without a name in the filesystem of `parent` and open it (`O_TMPFILE`); `link` may name it later. What
 * the kernel sends as its `name` means nothing.
 */
export class TmpfileRequest extends CreationRequest<CreateReply> {
  declare readonly op: 'tmpfile';
  /** `O_*` flags of `open(2)`. */
  readonly flags: number;
  /** Type and permissions; the caller's umask is already taken off, unless `DONT_MASK` was asked for. */
  readonly mode: number;
  readonly umask: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.flags = slot.header.getUint32(ARGUMENTS + CREATE_IN.flags, true);
    this.mode = slot.header.getUint32(ARGUMENTS + CREATE_IN.mode, true);
    this.umask = slot.header.getUint32(ARGUMENTS + CREATE_IN.umask, true);
  }

  /** @internal */
  override encode(reply: CreateReply): number {
    return writeCreate(this.live(), reply, this.nodeid);
  }
}

/**
 * Read `size` bytes at `offset`. The reply is the bytes, or the number of bytes that the handler put into
 * {@link ReadRequest.buffer}; fewer than `size` only at the end of the file.
 */
export class ReadRequest extends NodeRequest<number | Uint8Array> {
  declare readonly op: 'read';
  readonly fh: number;
  readonly offset: number;
  readonly size: number;
  /** `O_*` flags of the open file. */
  readonly flags: number;
  private lentBuffer: Buffer | undefined;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.fh = readU64(header, ARGUMENTS + READ_IN.fh);
    this.offset = readOffset(slot, READ_IN.offset, NOTHING);
    this.size = header.getUint32(ARGUMENTS + READ_IN.size, true);
    this.flags = header.getUint32(ARGUMENTS + READ_IN.flags, true);
  }

  /** The owner of the locks that the read is made under: opaque, to be read before the reply. Sent with direct I/O. */
  get lockOwner(): bigint | undefined {
    const { header } = this.live();
    const owned = header.getUint32(ARGUMENTS + READ_IN.read_flags, true) & READ.LOCKOWNER;
    return owned ? header.getBigUint64(ARGUMENTS + READ_IN.lock_owner, true) : undefined;
  }

  /**
   * The reply's own memory, `size` zeroed bytes, valid until the reply: fill it and reply the count. (With a deadline,
   * see `timeout` of the mount, or `checkViews` it is copied once.)
   */
  get buffer(): Buffer {
    return this.lentBuffer === undefined ? this.unsafeBuffer.fill(0) : this.unsafeBuffer;
  }

  /**
   * As {@link ReadRequest.buffer} but not zeroed, as with `Buffer.allocUnsafe`: it holds bytes of earlier
   * requests. Reply exactly the number of bytes that were written from its start.
   */
  get unsafeBuffer(): Buffer {
    const slot = this.live();
    this.lentBuffer ??= slot.lendRoom(this.size);
    return this.lentBuffer;
  }

  /** @internal */
  override encode(reply: number | Uint8Array): number {
    const slot = this.live();
    const length = writeBytes(slot, reply, this.size);
    if (typeof reply !== 'number') return length;
    // The count is of a buffer that was never asked for: its bytes are zeros.
    if (this.lentBuffer === undefined) slot.payload.fill(0, 0, length);
    else if (slot.lent !== undefined) copyBytes(slot.payload, firstBytes(slot.lent, length));
    return length;
  }
}

/** Write {@link WriteRequest.data} at `offset`. The reply is the number of bytes written. */
export class WriteRequest extends NodeRequest<number> {
  declare readonly op: 'write';
  readonly fh: number;
  readonly offset: number;
  readonly size: number;
  /** `FUSE_WRITE_*` flags: bit 0 `CACHE` (from the page cache), bit 1 `LOCKOWNER`, bit 2 `KILL_SUIDGID`. */
  readonly writeFlags: number;
  /** `O_*` flags of the open file. */
  readonly flags: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.fh = readU64(header, ARGUMENTS + WRITE_IN.fh);
    this.offset = readSize(header, ARGUMENTS + WRITE_IN.offset);
    this.size = header.getUint32(ARGUMENTS + WRITE_IN.size, true);
    this.writeFlags = header.getUint32(ARGUMENTS + WRITE_IN.write_flags, true);
    this.flags = header.getUint32(ARGUMENTS + WRITE_IN.flags, true);
  }

  /** The owner of the locks that the write is made under: opaque, to be read before the reply. Sent with direct I/O. */
  get lockOwner(): bigint | undefined {
    const { header } = this.live();
    const owned = this.writeFlags & WRITE.LOCKOWNER;
    return owned ? header.getBigUint64(ARGUMENTS + WRITE_IN.lock_owner, true) : undefined;
  }

  /**
   * The caller's bytes, valid until the reply: the kernel's transfer memory, not a copy (but see `timeout` and
   * `checkViews` of the mount).
   */
  get data(): Buffer {
    return this.live().lendData();
  }

  /** @internal */
  override encode(reply: number): number {
    return writeCount(this.live(), reply, this.size);
  }
}

/** One descriptor of an open file was closed: it may come several times for one `open`, or never. */
export class FlushRequest extends NodeRequest<void> {
  declare readonly op: 'flush';
  readonly fh: number;
  /** Names the owner of POSIX locks that go with this close: opaque. */
  readonly lockOwner: bigint;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.fh = readU64(slot.header, ARGUMENTS + FLUSH_IN.fh);
    this.lockOwner = slot.header.getBigUint64(ARGUMENTS + FLUSH_IN.lock_owner, true);
  }
}

abstract class EndHandleRequest extends NodeRequest<void> {
  readonly fh: number;
  /** `O_*` flags of the open file. */
  readonly flags: number;
  /** `FUSE_RELEASE_*` flags: bit 0 `FLUSH`, bit 1 `FLOCK_UNLOCK`. */
  readonly releaseFlags: number;
  /** With `FLOCK_UNLOCK`: the owner of the `flock(2)` locks that end with the open file, as in `setlk`. */
  readonly lockOwner: bigint | undefined;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.fh = readU64(header, ARGUMENTS + RELEASE_IN.fh);
    this.flags = header.getUint32(ARGUMENTS + RELEASE_IN.flags, true);
    this.releaseFlags = header.getUint32(ARGUMENTS + RELEASE_IN.release_flags, true);
    this.lockOwner =
      this.releaseFlags & RELEASE.FLOCK_UNLOCK
        ? header.getBigUint64(ARGUMENTS + RELEASE_IN.lock_owner, true)
        : undefined;
  }
}

/** The last use of an open file ended: once for each `open` and `create`. Nobody waits for the reply. */
export class ReleaseRequest extends EndHandleRequest {
  declare readonly op: 'release';
}

/** The last use of an open directory ended: once for each `opendir`. */
export class ReleasedirRequest extends EndHandleRequest {
  declare readonly op: 'releasedir';
}

abstract class SyncRequest extends NodeRequest<void> {
  readonly fh: number;
  /** Whether the contents are enough (`fdatasync(2)`). */
  readonly datasync: boolean;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.fh = readU64(slot.header, ARGUMENTS + FSYNC_IN.fh);
    this.datasync = (slot.header.getUint32(ARGUMENTS + FSYNC_IN.fsync_flags, true) & 1) !== 0;
  }
}

/** Make the file durable. */
export class FsyncRequest extends SyncRequest {
  declare readonly op: 'fsync';
}

/** Make the directory durable. */
export class FsyncdirRequest extends SyncRequest {
  declare readonly op: 'fsyncdir';
}

/** Find data or a hole at or after `offset`. The reply is the offset found. */
export class LseekRequest extends NodeRequest<number | bigint> {
  declare readonly op: 'lseek';
  readonly fh: number;
  /** From 0 on. */
  readonly offset: number;
  /** `SEEK_DATA` (3) or `SEEK_HOLE` (4); the kernel does the others itself. */
  readonly whence: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.fh = readU64(slot.header, ARGUMENTS + LSEEK_IN.fh);
    // It is signed: what is below 0 is beyond as well.
    this.offset = readOffset(slot, LSEEK_IN.offset, NO_SUCH_OFFSET);
    this.whence = slot.header.getUint32(ARGUMENTS + LSEEK_IN.whence, true);
  }

  /** @internal */
  override encode(reply: number | bigint): number {
    return writeOffset(this.live(), reply);
  }
}

/** Change the space of a file, as `fallocate(2)`. */
export class FallocateRequest extends NodeRequest<void> {
  declare readonly op: 'fallocate';
  readonly fh: number;
  readonly offset: number;
  readonly length: number;
  /** `FALLOC_FL_*` flags. */
  readonly mode: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.fh = readU64(header, ARGUMENTS + FALLOCATE_IN.fh);
    this.mode = header.getUint32(ARGUMENTS + FALLOCATE_IN.mode, true);
    const punches = (this.mode & PUNCH_HOLE) !== 0 && !slot.channel.wide.sizes;
    if (punches && isWide(header, ARGUMENTS + FALLOCATE_IN.offset)) throw NOTHING;
    this.offset = readSize(header, ARGUMENTS + FALLOCATE_IN.offset);
    this.length =
      punches && isWide(header, ARGUMENTS + FALLOCATE_IN.length)
        ? Number.MAX_SAFE_INTEGER - this.offset
        : readSize(header, ARGUMENTS + FALLOCATE_IN.length);
  }
}

/**
 * Copy `length` bytes within the filesystem, from `ino` to `newIno`. The reply is the number of bytes copied; 0 at
 * the end of the file. COPY_FILE_RANGE and COPY_FILE_RANGE_64 both come as this.
 */
export class CopyFileRangeRequest extends NodeRequest<number> {
  declare readonly op: 'copy_file_range';
  readonly fh: number;
  readonly offset: number;
  /** The file to copy to. */
  readonly newIno: number;
  readonly newFh: number;
  readonly newOffset: number;
  readonly length: number;
  /** Flags of `copy_file_range(2)`: none are defined yet. */
  readonly flags: number;
  readonly #wide: boolean;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.fh = readU64(header, ARGUMENTS + COPY_FILE_RANGE_IN.fh_in);
    this.offset = readOffset(slot, COPY_FILE_RANGE_IN.off_in, NOTHING_COPIED);
    this.newIno = readU64(header, ARGUMENTS + COPY_FILE_RANGE_IN.nodeid_out);
    this.newFh = readU64(header, ARGUMENTS + COPY_FILE_RANGE_IN.fh_out);
    this.newOffset = readSize(header, ARGUMENTS + COPY_FILE_RANGE_IN.off_out);
    this.length = readU64(header, ARGUMENTS + COPY_FILE_RANGE_IN.len);
    this.flags = readU64(header, ARGUMENTS + COPY_FILE_RANGE_IN.flags);
    this.#wide = slot.opcode === OPCODE.COPY_FILE_RANGE_64;
  }

  /** @internal */
  override encode(reply: number): number {
    return writeCopied(this.live(), reply, this.length, this.#wide);
  }
}
