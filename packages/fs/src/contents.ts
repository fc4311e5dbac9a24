import type { Space } from './space.ts';
import { SparseArray } from './sparse.ts';

/** Bytes of a chunk, the unit in which contents are allocated. */
export const CHUNK_SIZE = 65536;

/** The first chunk, the only one of a small file, grows by doubling from so many bytes. */
const SMALLEST_CHUNK = 512;

/** Stands for every chunk that is allocated and was not written yet: zeros that nobody writes to. */
const UNWRITTEN = Buffer.alloc(CHUNK_SIZE);

function smallestPower(bytes: number): number {
  let capacity = SMALLEST_CHUNK;
  while (capacity < bytes) capacity *= 2;
  return capacity;
}

/**
 * The bytes of a file, by offset. Bytes that were never written are zero, and cost nothing. It knows no size:
 * the file has one, and erases what it cuts off.
 *
 * Chunk `i` holds the bytes from `i * CHUNK_SIZE` on. Chunk 0 may be shorter than {@link CHUNK_SIZE}; what lies
 * behind its end is zero.
 */
export class Contents {
  readonly #chunks: SparseArray<Buffer> = new SparseArray();
  readonly #space: Space;
  #allocated = 0;

  constructor(space: Space) {
    this.#space = space;
  }

  /** Bytes that are allocated. */
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
      const chunk = this.#chunks.get(index);
      const stored = chunk === undefined ? 0 : Math.min(end, chunk.length);
      if (chunk !== undefined && start < stored) {
        target.set(stored - start === chunk.length ? chunk : chunk.subarray(start, stored), done);
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
      const chunk = this.#writable(index, start, end);
      if (chunk === undefined) break;
      const count = end - start;
      chunk.set(count === data.length ? data : data.subarray(done, done + count), start);
      done += count;
    }
    return done;
  }

  /**
   * Copies `count` bytes of `source` from `from` on to `offset`; what is a hole there is one here. The result is the
   * number of bytes: fewer than asked for once space is out.
   */
  copy(offset: number, source: Contents, from: number, count: number): number {
    const end = from + count;
    const distance = offset - from;
    for (let at = from; at < end; ) {
      const data = Math.min(source.nextData(at), end);
      this.erase(at + distance, data + distance);
      for (at = data; at < Math.min(source.nextHole(data), end); ) {
        const bytes = source.#stored(at, end);
        const written = this.write(at + distance, bytes);
        at += written;
        if (written < bytes.length) return at - from;
      }
    }
    return count;
  }

  /** Allocates what is missing between `from` and `to`. False: there is no space for it, and nothing changed. */
  allocate(from: number, to: number): boolean {
    const first = Math.floor(from / CHUNK_SIZE);
    const last = Math.ceil(to / CHUNK_SIZE);
    let missing = Math.max(last - Math.max(first, 1), 0);
    for (let i = this.#chunks.next(Math.max(first, 1)); i < last; i = this.#chunks.next(i + 1)) missing -= 1;
    if (!this.#take(missing * CHUNK_SIZE)) return false;
    if (first === 0 && last > 0 && this.#writable(0, 0, Math.min(to, CHUNK_SIZE), 0) === undefined) {
      this.#take(-missing * CHUNK_SIZE);
      return false;
    }
    for (let i = Math.max(first, 1); missing > 0; i += 1) {
      if (this.#chunks.get(i) !== undefined) continue;
      this.#chunks.set(i, UNWRITTEN);
      missing -= 1;
    }
    return true;
  }

  /** Makes the bytes between `from` and `to` zero, and frees the chunks that lie between them. */
  erase(from: number, to: number): void {
    this.#clear(from, to, (index, chunk) => {
      this.#chunks.delete(index);
      this.#take(-chunk.length);
    });
  }

  /** Makes the bytes between `from` and `to` zero: what is allocated stays so. */
  zero(from: number, to: number): void {
    this.#clear(from, to, (index, chunk) => {
      if (index === 0) chunk.fill(0);
      else this.#chunks.set(index, UNWRITTEN);
    });
  }

  /** The first offset from `offset` on that is in a written chunk; Infinity: none. */
  nextData(offset: number): number {
    const first = Math.floor(offset / CHUNK_SIZE);
    for (let i = this.#chunks.next(first); i !== Infinity; i = this.#chunks.next(i + 1)) {
      const chunk = this.#chunks.get(i);
      const start = i * CHUNK_SIZE;
      if (chunk !== undefined && chunk !== UNWRITTEN && offset < start + chunk.length) {
        return Math.max(offset, start);
      }
    }
    return Infinity;
  }

  /** The first offset from `offset` on that is not in a written chunk. */
  nextHole(offset: number): number {
    for (let i = Math.floor(offset / CHUNK_SIZE); ; i += 1) {
      const chunk = this.#chunks.get(i);
      const written = chunk === undefined || chunk === UNWRITTEN ? 0 : chunk.length;
      if (written < CHUNK_SIZE) return Math.max(offset, i * CHUNK_SIZE + written);
    }
  }

  /** The bytes of one written chunk from `offset` on, up to `end` at most. */
  #stored(offset: number, end: number): Buffer {
    const index = Math.floor(offset / CHUNK_SIZE);
    const start = index * CHUNK_SIZE;
    return (this.#chunks.get(index) ?? UNWRITTEN).subarray(offset - start, end - start);
  }

  #take(bytes: number): boolean {
    const taken = this.#space.take(bytes);
    if (taken) this.#allocated += bytes;
    return taken;
  }

  /**
   * Chunk `index`, its own memory, at least up to `end`; undefined: there is no space for it. The caller writes
   * all of `start` … `written`: these bytes are not cleared.
   */
  #writable(index: number, start: number, end: number, written: number = end): Buffer | undefined {
    const old = this.#chunks.get(index);
    if (old !== undefined && old !== UNWRITTEN && old.length >= end) return old;
    const capacity = index === 0 ? smallestPower(end) : CHUNK_SIZE;
    const kept = old?.length ?? 0;
    if (!this.#take(capacity - kept)) return undefined;
    const chunk = Buffer.allocUnsafeSlow(capacity);
    const copied = old === undefined || old === UNWRITTEN ? 0 : kept;
    if (old !== undefined && copied > 0) chunk.set(old);
    if (copied < start) chunk.fill(0, copied, start);
    chunk.fill(0, Math.max(copied, written), capacity);
    this.#chunks.set(index, chunk);
    return chunk;
  }

  /** Clears the bytes between `from` and `to`; `whole` does it for a chunk of which nothing is left. */
  #clear(from: number, to: number, whole: (index: number, chunk: Buffer) => void): void {
    for (
      let i = this.#chunks.next(Math.floor(from / CHUNK_SIZE));
      i * CHUNK_SIZE < to;
      i = this.#chunks.next(i + 1)
    ) {
      const chunk = this.#chunks.get(i);
      if (chunk === undefined) continue;
      const start = Math.max(from - i * CHUNK_SIZE, 0);
      const end = Math.min(to - i * CHUNK_SIZE, chunk.length);
      if (start === 0 && end === chunk.length) whole(i, chunk);
      else if (chunk !== UNWRITTEN && start < end) chunk.fill(0, start, end);
    }
  }
}
