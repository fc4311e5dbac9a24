import type { StatfsReply } from '../attributes.ts';

/** Bytes of a `struct statfs` of 64-bit machines, and where its fields lie. */
const SIZE = 120;
const BSIZE = 8;
const BLOCKS = 16;
const BFREE = 24;
const BAVAIL = 32;
const FILES = 40;
const FFREE = 48;
const NAMELEN = 64;
const FRSIZE = 72;
const FLAGS = 80;

/** A `struct statfs`, to be filled by the system call and read here. */
export class Statfs {
  /** The memory for the call. */
  readonly bytes: Buffer = Buffer.alloc(SIZE);

  /** The type of filesystem: its magic number, as `statfs(2)` lists them. */
  get type(): number {
    return this.bytes.readUInt32LE(0);
  }

  /** How it is mounted: `ST_*`, such as `ST_NOEXEC` (8). */
  get flags(): number {
    return this.bytes.readUInt32LE(FLAGS);
  }

  /** All that a reply takes. */
  reply(): StatfsReply {
    const { bytes } = this;
    return {
      blocks: bytes.readBigUInt64LE(BLOCKS),
      bfree: bytes.readBigUInt64LE(BFREE),
      bavail: bytes.readBigUInt64LE(BAVAIL),
      files: bytes.readBigUInt64LE(FILES),
      ffree: bytes.readBigUInt64LE(FFREE),
      bsize: Number(bytes.readBigUInt64LE(BSIZE)),
      namelen: Number(bytes.readBigUInt64LE(NAMELEN)),
      frsize: Number(bytes.readBigUInt64LE(FRSIZE)),
    };
  }
}
