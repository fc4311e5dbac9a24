import { CHUNK_SIZE } from './chunks.ts';
import type { Space } from './space.ts';
import { BRANCH_COST, SparseArray } from './sparse.ts';

/** Bytes of a block, the unit of holes, as `st_blksize` says. */
export const BLOCK_SIZE = 4096;
const BLOCKS = CHUNK_SIZE / BLOCK_SIZE;

/** The first chunk, the only one of a small file, grows by doubling from so many bytes. */
const SMALLEST_CHUNK = 512;

/** The bytes of every chunk that is allocated and was not written yet: zeros that nobody writes to. */
const UNWRITTEN = Buffer.alloc(CHUNK_SIZE);

const NOTHING = new Uint8Array(0);

/** Chunks of a file without holes for each branch of its index, at least: such a branch costs nothing. */
const CHUNKS_PER_BRANCH = 8;

interface Chunk {
  bytes: Buffer<ArrayBuffer>;
  /** Allocated blocks, a bit each. */
  blocks: number;
  /** Blocks that were written, a bit each: all others are zeros. */
  data: number;
}

function smallestPower(bytes: number): number {
  let capacity = SMALLEST_CHUNK;
  while (capacity < bytes) capacity *= 2;
  return capacity;
}

/** The end of the chunk that the byte at `offset` is in. */
function chunkEnd(offset: number): number {
  return (Math.floor(offset / CHUNK_SIZE) + 1) * CHUNK_SIZE;
}

/** The bits of the blocks from `first` up to, without, `last`. */
function bits(first: number, last: number): number {
  return first < last ? (1 << last) - (1 << first) : 0;
}

/** The bits of the blocks that have a byte between `start` and `end`. */
function touched(start: number, end: number): number {
  return bits(Math.floor(start / BLOCK_SIZE), Math.ceil(end / BLOCK_SIZE));
}

/** The bits of the blocks all of whose bytes are between `start` and `end`. */
function covered(start: number, end: number): number {
  return bits(Math.ceil(start / BLOCK_SIZE), Math.floor(end / BLOCK_SIZE));
}

function count(blocks: number): number {
  let number = 0;
  for (let rest = blocks; rest !== 0; rest &= rest - 1) number += 1;
  return number;
}

/** Bytes of a chunk's allocated blocks. A small first chunk has less memory than a block. */
function allocatedIn({ blocks, bytes }: Chunk): number {
  return Math.min(count(blocks) * BLOCK_SIZE, bytes.length);
}

function clear({ bytes }: Chunk, start: number, end: number): void {
  if (bytes !== UNWRITTEN && start < bytes.length) bytes.fill(0, start, Math.min(end, bytes.length));
}

/**
 * The bytes of a file, by offset. Bytes that were never written are zero, and cost nothing. It knows no size:
 * the file has one, and erases what it cuts off.
 *
 * Chunk `i` holds the bytes from `i * CHUNK_SIZE` on. Chunk 0 may be shorter than {@link CHUNK_SIZE}; what lies
 * behind its end is zero. A chunk takes space as a whole, and is freed once none of its blocks is allocated.
 */
export class Contents {
  readonly #chunks: SparseArray<Chunk> = new SparseArray();
  readonly #space: Space;
  #allocated = 0;
  /** Number of chunks. */
  #length = 0;
  /** Bytes of the heap that the index takes from the inodes. */
  #indexCost = 0;

  constructor(space: Space) {
    this.#space = space;
  }

  /** Bytes of allocated blocks. */
  get allocated(): number {
    return this.#allocated;
  }

  /** Fills `target` with the bytes from `offset` on. */
  read(offset: number, target: Uint8Array): void {
    let done = 0;
    while (done < target.length) {
      const index = Math.floor((offset + done) / CHUNK_SIZE);
      const start = offset + done - index * CHUNK_SIZE;
      const end = Math.min(CHUNK_SIZE, start + target.length - done);
      const bytes = this.#chunks.get(index)?.bytes;
      const stored = bytes === undefined ? 0 : Math.min(end, bytes.length);
      if (bytes !== undefined && start < stored) {
        target.set(stored - start === bytes.length ? bytes : bytes.subarray(start, stored), done);
        done += stored - start;
      }
      const zeros = end - Math.max(start, stored);
      if (zeros > 0) {
        target.fill(0, done, done + zeros);
        done += zeros;
      }
    }
  }

  /** Puts `data` at `offset`. The result is the number of bytes written: fewer than given once space is out. */
  write(offset: number, data: Uint8Array): number {
    let done = 0;
    while (done < data.length) {
      const index = Math.floor((offset + done) / CHUNK_SIZE);
      const start = offset + done - index * CHUNK_SIZE;
      const end = Math.min(CHUNK_SIZE, start + data.length - done);
      const length = end - start;
      const part = length === data.length ? data : data.subarray(done, done + length);
      const chunk = this.#put(index, start, part, end);
      if (chunk === undefined) break;
      const blocks = touched(start, end);
      chunk.data |= blocks;
      if ((chunk.blocks & blocks) !== blocks) this.#setBlocks(chunk, chunk.blocks | blocks);
      done += length;
    }
    return done;
  }

  /**
   * Copies `length` bytes of `source` from `from` on to `offset`; what is a hole there is one here. The result is the
   * number of bytes: fewer than asked for once space is out.
   */
  copy(offset: number, source: Contents, from: number, length: number): number {
    const end = from + length;
    const distance = offset - from;
    for (let at = from; at < end; ) {
      const data = Math.min(source.nextData(at), end);
      this.erase(at + distance, data + distance);
      const hole = Math.min(source.nextHole(data), end);
      for (at = data; at < hole; ) {
        // Within one chunk on both sides: a write that replaces the memory of its chunk may free what is copied.
        const bytes = source.#stored(at, Math.min(hole, chunkEnd(at + distance) - distance));
        // The rest of a block behind the end of a small first chunk.
        if (bytes.length === 0) {
          this.erase(at + distance, hole + distance);
          break;
        }
        const written = this.write(at + distance, bytes);
        at += written;
        if (written < bytes.length) return at - from;
      }
      at = hole;
    }
    return length;
  }

  /** Allocates what is missing between `from` and `to`. False: there is no space for it, and nothing changed. */
  allocate(from: number, to: number): boolean {
    const first = Math.floor(from / CHUNK_SIZE);
    const last = Math.ceil(to / CHUNK_SIZE);
    if (!this.#allocateChunks(Math.max(first, 1), last)) return false;
    if (first === 0 && last > 0 && this.#put(0, 0, NOTHING, Math.min(to, CHUNK_SIZE)) === undefined) {
      this.#freeUnallocated(1, last);
      return false;
    }
    for (let i = first; i < last; i += 1) {
      const chunk = this.#chunks.get(i) as Chunk;
      const start = i * CHUNK_SIZE;
      const blocks = touched(Math.max(from - start, 0), Math.min(to - start, CHUNK_SIZE));
      this.#setBlocks(chunk, chunk.blocks | blocks);
    }
    return true;
  }

  /** Makes the bytes between `from` and `to` zero, and frees the blocks that lie between them. */
  erase(from: number, to: number): void {
    this.#visit(from, to, (index, chunk, start, end) => {
      const blocks = covered(start, end);
      this.#setBlocks(chunk, chunk.blocks & ~blocks);
      if (chunk.blocks === 0) return this.#delete(index, chunk);
      chunk.data &= ~blocks;
      clear(chunk, start, end);
    });
  }

  /** Makes the bytes between `from` and `to` zero: what is allocated stays so. */
  zero(from: number, to: number): void {
    this.#visit(from, to, (index, chunk, start, end) => {
      chunk.data &= ~covered(start, end);
      // A small first chunk keeps its own size.
      if (chunk.data !== 0 || index === 0 || chunk.bytes === UNWRITTEN) return clear(chunk, start, end);
      this.#space.chunks.free(chunk.bytes);
      chunk.bytes = UNWRITTEN;
    });
  }

  /** The first offset from `offset` on that is in a written block; Infinity: none. */
  nextData(offset: number): number {
    const first = Math.floor(offset / CHUNK_SIZE);
    for (let i = this.#chunks.next(first); i !== Infinity; i = this.#chunks.next(i + 1)) {
      const data = this.#chunks.get(i)?.data ?? 0;
      const start = i * CHUNK_SIZE;
      const from = i === first ? Math.floor((offset - start) / BLOCK_SIZE) : 0;
      const left = data & bits(from, BLOCKS);
      if (left !== 0) return Math.max(offset, start + (31 - Math.clz32(left & -left)) * BLOCK_SIZE);
    }
    return Infinity;
  }

  /** The first offset from `offset` on that is not in a written block. */
  nextHole(offset: number): number {
    let block = Math.floor(offset / BLOCK_SIZE) % BLOCKS;
    for (let i = Math.floor(offset / CHUNK_SIZE); ; i += 1) {
      const data = this.#chunks.get(i)?.data ?? 0;
      const left = ~data & bits(block, BLOCKS);
      if (left !== 0) {
        return Math.max(offset, i * CHUNK_SIZE + (31 - Math.clz32(left & -left)) * BLOCK_SIZE);
      }
      block = 0;
    }
  }

  /** The bytes of one written chunk from `offset` on, up to `end` at most. */
  #stored(offset: number, end: number): Buffer {
    const index = Math.floor(offset / CHUNK_SIZE);
    const start = index * CHUNK_SIZE;
    return (this.#chunks.get(index)?.bytes ?? UNWRITTEN).subarray(offset - start, end - start);
  }

  #setBlocks(chunk: Chunk, blocks: number): void {
    const before = allocatedIn(chunk);
    chunk.blocks = blocks;
    this.#allocated += allocatedIn(chunk) - before;
  }

  /** Puts a chunk without blocks at `index`. False: there is no space for its place in the index. */
  #add(index: number, bytes: Buffer<ArrayBuffer>): boolean {
    this.#chunks.set(index, { bytes, blocks: 0, data: 0 });
    this.#length += 1;
    if (this.#chargeIndex()) return true;
    this.#remove(index);
    return false;
  }

  /** Takes away a chunk without blocks. */
  #delete(index: number, { bytes }: Chunk): void {
    this.#remove(index);
    this.#space.take(-bytes.length);
    if (bytes !== UNWRITTEN) this.#space.chunks.free(bytes);
  }

  #remove(index: number): void {
    this.#chunks.delete(index);
    this.#length -= 1;
    this.#chargeIndex();
  }

  /** Counts what the index takes beyond that of a file without holes. False: there is no space for it. */
  #chargeIndex(): boolean {
    const cost =
      Math.max(this.#chunks.branches - Math.ceil(this.#length / CHUNKS_PER_BRANCH), 0) * BRANCH_COST;
    if (cost === this.#indexCost) return true;
    if (!this.#space.takeHeap(cost - this.#indexCost)) return false;
    this.#indexCost = cost;
    return true;
  }

  /** Makes the missing chunks from `first` up to, without, `last`, or none: there is no space for all. */
  #allocateChunks(first: number, last: number): boolean {
    let missing = Math.max(last - first, 0);
    for (let i = this.#chunks.next(first); i < last; i = this.#chunks.next(i + 1)) missing -= 1;
    if (!this.#space.take(missing * CHUNK_SIZE)) return false;
    for (let i = first; missing > 0; i += 1) {
      if (this.#chunks.get(i) !== undefined) continue;
      if (!this.#add(i, UNWRITTEN)) {
        this.#space.take(-missing * CHUNK_SIZE);
        this.#freeUnallocated(first, i);
        return false;
      }
      missing -= 1;
    }
    return true;
  }

  /** Takes away the chunks of which no block was allocated. */
  #freeUnallocated(first: number, last: number): void {
    for (let i = this.#chunks.next(first); i < last; i = this.#chunks.next(i + 1)) {
      const chunk = this.#chunks.get(i);
      if (chunk?.blocks === 0) this.#delete(i, chunk);
    }
  }

  /**
   * Puts `data` at `start` in chunk `index`, which has its own memory at least up to `end` then; undefined: there is no
   * space for it. `data` may be a view of the chunk.
   *
   * New memory is not cleared, so a chunk gets it only once all of it was written, and the old memory is freed after that.
   */
  #put(index: number, start: number, data: Uint8Array, end: number): Chunk | undefined {
    let chunk = this.#chunks.get(index);
    const old = chunk?.bytes;
    if (chunk !== undefined && old !== UNWRITTEN && chunk.bytes.length >= end) {
      chunk.bytes.set(data, start);
      return chunk;
    }
    const capacity = index === 0 ? smallestPower(end) : CHUNK_SIZE;
    const taken = capacity - (old?.length ?? 0);
    if (!this.#space.take(taken)) return undefined;
    const bytes = this.#space.chunks.allocate(capacity);
    if (bytes !== undefined) {
      const copied = old === undefined || old === UNWRITTEN ? 0 : old.length;
      if (old !== undefined && copied > 0) bytes.set(old);
      if (copied < start) bytes.fill(0, copied, start);
      bytes.set(data, start);
      bytes.fill(0, Math.max(copied, start + data.length), capacity);
    }
    if (bytes === undefined || (chunk === undefined && !this.#add(index, bytes))) {
      if (bytes !== undefined) this.#space.chunks.free(bytes);
      this.#space.take(-taken);
      return undefined;
    }
    chunk = this.#chunks.get(index) as Chunk;
    const before = allocatedIn(chunk);
    chunk.bytes = bytes;
    this.#allocated += allocatedIn(chunk) - before;
    if (old !== undefined && old !== UNWRITTEN) this.#space.chunks.free(old);
    return chunk;
  }

  /** Calls `change` for each chunk between `from` and `to`, with the part of it that is. */
  #visit(
    from: number,
    to: number,
    change: (index: number, chunk: Chunk, start: number, end: number) => void,
  ): void {
    const first = Math.floor(from / CHUNK_SIZE);
    for (let i = this.#chunks.next(first); i * CHUNK_SIZE < to; i = this.#chunks.next(i + 1)) {
      const chunk = this.#chunks.get(i);
      if (chunk === undefined) continue;
      const start = Math.max(from - i * CHUNK_SIZE, 0);
      change(i, chunk, start, Math.min(to - i * CHUNK_SIZE, CHUNK_SIZE));
    }
  }
}
