/** What can be done to the contents of a regular file. */

import { FuseError, type Timespec } from 'ringfuse';
import { BLOCK_SIZE, type Contents } from './contents.ts';
import type { Inode } from './inode.ts';

/** Flags of `fallocate(2)`. */
const FALLOC_FL_KEEP_SIZE = 0x01;
const FALLOC_FL_PUNCH_HOLE = 0x02;
const FALLOC_FL_ZERO_RANGE = 0x10;

/** Bytes that one request copies: others are to have their turn. */
const LARGEST_COPY = 16 << 20;

/** `whence` of `lseek(2)`. */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

function contentsOf(inode: Inode): Contents {
  if (inode.contents !== undefined) return inode.contents;
  throw new FuseError(inode.entries === undefined ? 'EINVAL' : 'EISDIR');
}

function roundUp(size: number): number {
  return Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
}

function checkEnd(end: number): void {
  if (end > Number.MAX_SAFE_INTEGER) throw new FuseError('EFBIG');
}

function modified(inode: Inode, now: Timespec): void {
  inode.mtime = now;
  inode.ctime = now;
  inode.dropCapabilities();
}

/** Reads what `target` has room for. The result is the number of bytes, fewer at the end of the file. */
export function read(inode: Inode, offset: number, target: Uint8Array): number {
  const contents = contentsOf(inode);
  const count = Math.max(Math.min(inode.size - offset, target.length), 0);
  contents.read(offset, count === target.length ? target : target.subarray(0, count));
  return count;
}

/**
 * Writes `data`. The result is the number of bytes, fewer where space ends; where there is space for none, ENOSPC.
 * `isCached`: from the page cache. Then nobody sees a count, so that ENOSPC is for fewer as well, and capabilities stay:
 * those that the write of the program was to take off are gone, and others came later.
 */
export function write(
  inode: Inode,
  offset: number,
  data: Uint8Array,
  isCached: boolean,
  now: Timespec,
): number {
  const contents = contentsOf(inode);
  checkEnd(offset + data.length);
  const written = contents.write(offset, data);
  if (written > 0) {
    inode.size = Math.max(inode.size, offset + written);
    inode.mtime = now;
    inode.ctime = now;
    if (!isCached) inode.dropCapabilities();
  }
  if (written < data.length && (isCached || written === 0)) throw new FuseError('ENOSPC');
  return written;
}

/** Cuts the file off at `size`, or lengthens it with zeros. */
export function resize(inode: Inode, size: number, now: Timespec): void {
  const contents = contentsOf(inode);
  checkEnd(size);
  if (size <= inode.size) contents.erase(size, Infinity);
  inode.size = size;
  modified(inode, now);
}

/** Changes the space of the file, with `mode` as `fallocate(2)`. */
export function allocate(inode: Inode, offset: number, length: number, mode: number, now: Timespec): void {
  const contents = contentsOf(inode);
  const end = offset + length;
  checkEnd(end);
  switch (mode) {
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
      // A hole up to the end of the file has all of its last block, as on ext4.
      contents.erase(offset, end < inode.size ? end : Math.max(end, roundUp(inode.size)));
      break;
    case 0:
    case FALLOC_FL_KEEP_SIZE:
      if (!contents.allocate(offset, end)) throw new FuseError('ENOSPC');
      break;
    case FALLOC_FL_ZERO_RANGE:
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
      if (!contents.allocate(offset, end)) throw new FuseError('ENOSPC');
      contents.zero(offset, end);
      break;
    default:
      throw new FuseError('EOPNOTSUPP');
  }
  if (!(mode & FALLOC_FL_KEEP_SIZE)) inode.size = Math.max(inode.size, end);
  modified(inode, now);
}

/**
 * Copies up to `length` bytes between files, or within one; holes stay holes. The result is the number of bytes, 0 at
 * the end of the file and fewer than asked for beyond {@link LARGEST_COPY}, or where space ends: where there is none,
 * ENOSPC. EINVAL for ranges of one file that overlap.
 */
export function copy(
  from: Inode,
  offset: number,
  to: Inode,
  newOffset: number,
  length: number,
  now: Timespec,
): number {
  const [source, target] = [contentsOf(from), contentsOf(to)];
  const count = Math.max(Math.min(length, from.size - offset, LARGEST_COPY), 0);
  if (from === to && Math.abs(newOffset - offset) < count) throw new FuseError('EINVAL');
  checkEnd(newOffset + count);
  const copied = target.copy(newOffset, source, offset, count);
  if (copied > 0) {
    to.size = Math.max(to.size, newOffset + copied);
    modified(to, now);
  } else if (count > 0) {
    throw new FuseError('ENOSPC');
  }
  return copied;
}

/** The next data or hole from `offset` on, as `lseek(2)`. The end of the file is the start of a hole. */
export function seek(inode: Inode, offset: number, whence: number): number {
  const contents = contentsOf(inode);
  if (whence !== SEEK_DATA && whence !== SEEK_HOLE) throw new FuseError('EINVAL');
  if (offset < 0 || offset >= inode.size) throw new FuseError('ENXIO');
  if (whence === SEEK_HOLE) return Math.min(contents.nextHole(offset), inode.size);
  const data = contents.nextData(offset);
  if (data >= inode.size) throw new FuseError('ENXIO');
  return data;
}
