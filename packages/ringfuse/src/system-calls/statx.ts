import type { ExtendedAttributes, Timespec } from '../attributes.ts';
import { STATX, SX_TIME } from '../generated/layout.ts';
import { readSeconds } from '../numbers.ts';
import { STATX_BTIME } from './constants.ts';

/** Bytes of a `struct statx`. The protocol's own struct has the same layout, but for its end. */
const SIZE = 256;
const MNT_ID = 144;

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

const TWO_32 = 0x1_0000_0000;
const UNSAFE_HIGH = 0x20_0000;

/** A `struct statx`, to be filled by the system call and read here. */
export class Statx {
  /** The memory for the call. */
  readonly bytes: Buffer = Buffer.alloc(SIZE);
  readonly #view: DataView = new DataView(this.bytes.buffer, this.bytes.byteOffset, SIZE);

  /** Type and permissions. */
  get mode(): number {
    return this.#view.getUint16(STATX.mode, true);
  }

  /** The inode's number; a bigint beyond `Number.MAX_SAFE_INTEGER`. */
  get ino(): number | bigint {
    return this.#unsigned(STATX.ino);
  }

  /** Whether it is a directory. */
  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }

  /** How many bytes its contents have; a bigint beyond `Number.MAX_SAFE_INTEGER`. */
  get size(): number | bigint {
    return this.#unsigned(STATX.size);
  }

  /** How many names it has. */
  get links(): number {
    return this.#view.getUint32(STATX.nlink, true);
  }

  /** Owner. */
  get uid(): number {
    return this.#view.getUint32(STATX.uid, true);
  }

  /** Group. */
  get gid(): number {
    return this.#view.getUint32(STATX.gid, true);
  }

  /** The device that the file is on: major and minor number. */
  get deviceMajor(): number {
    return this.#view.getUint32(STATX.dev_major, true);
  }

  /** See {@link Statx.deviceMajor}. */
  get deviceMinor(): number {
    return this.#view.getUint32(STATX.dev_minor, true);
  }

  /** The mount that the file was found in, if `STATX_MNT_ID` was asked for. */
  get mountId(): number | bigint {
    return this.#unsigned(MNT_ID);
  }

  /** All that replies take, as values that stay. `ino` replaces the number. */
  attributes(ino: number | bigint = this.ino): ExtendedAttributes {
    const view = this.#view;
    const hasBirthTime = (view.getUint32(STATX.mask, true) & STATX_BTIME) !== 0;
    return {
      mode: this.mode,
      ino,
      size: this.size,
      blocks: this.#unsigned(STATX.blocks),
      blksize: view.getUint32(STATX.blksize, true),
      nlink: view.getUint32(STATX.nlink, true),
      uid: this.uid,
      gid: this.gid,
      rdev: this.#deviceNumber(),
      atime: this.#time(STATX.atime),
      mtime: this.#time(STATX.mtime),
      ctime: this.#time(STATX.ctime),
      birthtime: hasBirthTime ? this.#time(STATX.btime) : undefined,
    };
  }

  /** `makedev(3)` of 32 bits: 12 bits of major between the 8 low and 12 high bits of minor. */
  #deviceNumber(): number {
    const major = this.#view.getUint32(STATX.rdev_major, true);
    const minor = this.#view.getUint32(STATX.rdev_minor, true);
    return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
  }

  #time(at: number): Timespec {
    const view = this.#view;
    return {
      sec: readSeconds(view, at + SX_TIME.tv_sec),
      nsec: view.getUint32(at + SX_TIME.tv_nsec, true),
    };
  }

  #unsigned(at: number): number | bigint {
    const high = this.#view.getUint32(at + 4, true);
    if (high >= UNSAFE_HIGH) return this.#view.getBigUint64(at, true);
    return high * TWO_32 + this.#view.getUint32(at, true);
  }
}
