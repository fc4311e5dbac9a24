import type { DirectoryEntry } from '../attributes.ts';

/** Where the fields of a `struct linux_dirent64` lie. */
const INO = 0;
const OFFSET = 8;
const LENGTH = 16;
const TYPE = 18;
const NAME = 19;

/** `DT_*` are the type bits of a mode, moved down. */
const TYPE_SHIFT = 12;

const TWO_32 = 0x1_0000_0000;
const UNSAFE_HIGH = 0x20_0000;

/**
 * The entries that `getdents64` wrote, as a `readdir` reply takes them. Names lie in `bytes` itself. Offsets are the
 * kernel's own, for {@link SystemCalls.seekdir}: of some filesystems, such as ext4, they have 63 bits.
 *
 * @param bytes What `getdents64` was given.
 * @param length What it returned.
 */
export function* directoryEntries(bytes: Buffer, length: number): Generator<DirectoryEntry> {
  for (let at = 0; at < length; at += bytes.readUInt16LE(at + LENGTH)) {
    const end = bytes.indexOf(0, at + NAME);
    yield {
      ino: unsigned(bytes, at + INO),
      offset: unsigned(bytes, at + OFFSET),
      mode: bytes[at + TYPE] << TYPE_SHIFT,
      name: bytes.subarray(at + NAME, end),
    };
  }
}

function unsigned(bytes: Buffer, at: number): number | bigint {
  const high = bytes.readUInt32LE(at + 4);
  if (high >= UNSAFE_HIGH) return bytes.readBigUInt64LE(at);
  return high * TWO_32 + bytes.readUInt32LE(at);
}
