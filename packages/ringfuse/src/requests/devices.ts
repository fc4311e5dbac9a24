/** Requests that treat a file as a device: `ioctl`, `poll`, `bmap`. */

import { BMAP_IN, IOCTL, IOCTL_IN, POLL, POLL_IN } from '../generated/layout.ts';
import { writeBlock, writeIoctl, writePoll } from '../replies/device.ts';
import { ARGUMENTS, NodeRequest, readU64 } from '../request.ts';
import type { Slot } from '../slot.ts';

/** The reply to `ioctl`. */
export interface IoctlReply {
  /** What `ioctl(2)` returns. Default 0. */
  readonly result?: number;
  /** Bytes for the caller's argument, at most `outSize`. */
  readonly data?: Uint8Array;
}

/**
 * An `ioctl(2)` whose command says how large its argument is (`_IOR`, `_IOW`, `_IOWR`): the kernel copies it.
 * Others do not reach a FUSE filesystem, nor can it ask for more (`FUSE_IOCTL_RETRY` is for CUSE).
 */
export class IoctlRequest extends NodeRequest<IoctlReply | undefined> {
  declare readonly op: 'ioctl';
  readonly fh: number;
  /** The command number. */
  readonly cmd: number;
  /** The caller's argument: an address of the caller's, or a number. */
  readonly arg: bigint;
  /** `FUSE_IOCTL_*` flags: bit 0 `COMPAT` (32-bit caller), bit 4 `DIR`. */
  readonly flags: number;
  /** Bytes that the caller has room for. */
  readonly outSize: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.fh = readU64(header, ARGUMENTS + IOCTL_IN.fh);
    this.cmd = header.getUint32(ARGUMENTS + IOCTL_IN.cmd, true);
    this.arg = header.getBigUint64(ARGUMENTS + IOCTL_IN.arg, true);
    this.flags = header.getUint32(ARGUMENTS + IOCTL_IN.flags, true);
    this.outSize = header.getUint32(ARGUMENTS + IOCTL_IN.out_size, true);
  }

  /** Whether `ino` is a directory. */
  get directory(): boolean {
    return (this.flags & IOCTL.DIR) !== 0;
  }

  /** The caller's bytes in the kernel's transfer memory, not a copy: valid until the reply. */
  get data(): Buffer {
    return this.live().lendData();
  }

  /** @internal */
  override encode(reply: IoctlReply | undefined): number {
    return writeIoctl(this.live(), reply, this.outSize);
  }
}

/**
 * Which of `events` are there? The reply is `POLL*` bits of `poll(2)`. With `scheduleNotify` the caller waits:
 * send `mount.notify.poll(kh)` when there may be new ones.
 */
export class PollRequest extends NodeRequest<number> {
  declare readonly op: 'poll';
  readonly fh: number;
  /** The kernel's name for whoever waits: give it to `mount.notify.poll`. */
  readonly kh: bigint;
  /** `POLL*` bits that the caller asks for. */
  readonly events: number;
  /** Whether a notification is wanted. */
  readonly scheduleNotify: boolean;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.fh = readU64(header, ARGUMENTS + POLL_IN.fh);
    this.kh = header.getBigUint64(ARGUMENTS + POLL_IN.kh, true);
    this.events = header.getUint32(ARGUMENTS + POLL_IN.events, true);
    this.scheduleNotify = (header.getUint32(ARGUMENTS + POLL_IN.flags, true) & POLL.SCHEDULE_NOTIFY) !== 0;
  }

  /** @internal */
  override encode(reply: number): number {
    return writePoll(this.live(), reply);
  }
}

/** Which block of the device holds the file's `block`? Sent to filesystems on a block device (`fuseblk`). */
export class BmapRequest extends NodeRequest<number> {
  declare readonly op: 'bmap';
  readonly block: number;
  /** Bytes of a block. */
  readonly blocksize: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.block = readU64(slot.header, ARGUMENTS + BMAP_IN.block);
    this.blocksize = slot.header.getUint32(ARGUMENTS + BMAP_IN.blocksize, true);
  }

  /** @internal */
  override encode(reply: number): number {
    return writeBlock(this.live(), reply);
  }
}
