import { free } from './freed.ts';

/** Bytes of a chunk, the unit in which contents take memory. */
export const CHUNK_SIZE = 65536;

/**
 * Chunks of an arena. glibc maps what is larger than 32 MiB by itself, and unmaps it when it is freed; memory of smaller
 * sizes stays with the process (`M_MMAP_THRESHOLD` in mallopt(3)).
 */
const ARENA_CHUNKS = 640;

/** Memory for chunks. The system gives it its pages once they are written. */
class Arena {
  readonly memory: Buffer<ArrayBuffer>;
  /** Indexes of free chunks; the next is the last. */
  readonly free: number[] = [];
  readonly length: number;

  constructor(length: number) {
    this.length = length;
    this.memory = Buffer.allocUnsafeSlow(length * CHUNK_SIZE);
    for (let index = length - 1; index >= 0; index -= 1) this.free.push(index);
  }

  get isEmpty(): boolean {
    return this.free.length === this.length;
  }
}

/**
 * Memory for contents: buffers of {@link CHUNK_SIZE}, and smaller ones for small files. Arenas are filled in the order of
 * their making; one that is empty goes back to the system, but for the last.
 */
export class Chunks {
  /** Chunks of the next arena. */
  #length: number;
  #arenas: Arena[] = [];
  /** No arena before this one has a free chunk. */
  #first = 0;

  /** `size` bytes at most are needed. */
  constructor(size: number) {
    this.#length = Math.min(Math.max(Math.floor(size / CHUNK_SIZE), 1), ARENA_CHUNKS);
  }

  /** A buffer with any contents; undefined: the process has no memory left. */
  allocate(bytes: number): Buffer<ArrayBuffer> | undefined {
    try {
      return bytes === CHUNK_SIZE ? this.#allocateChunk() : Buffer.allocUnsafeSlow(bytes);
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  /** Gives back what {@link allocate} gave. Nobody may use it afterwards. */
  free(buffer: Buffer<ArrayBuffer>): void {
    if (buffer.length !== CHUNK_SIZE) {
      free(buffer);
      return;
    }
    const index = this.#arenas.findIndex(({ memory }) => memory.buffer === buffer.buffer);
    const arena = this.#arenas[index];
    arena.free.push(buffer.byteOffset / CHUNK_SIZE);
    this.#first = Math.min(this.#first, index);
    if (!arena.isEmpty || !this.#arenas.some((other) => other !== arena && other.isEmpty)) return;
    free(arena.memory);
    this.#arenas = this.#arenas.filter((other) => other !== arena);
    this.#first = 0;
  }

  #allocateChunk(): Buffer<ArrayBuffer> {
    while (this.#arenas[this.#first]?.free.length === 0) this.#first += 1;
    if (this.#first === this.#arenas.length) this.#arenas.push(this.#makeArena());
    const { memory, free: indexes } = this.#arenas[this.#first];
    const offset = (indexes.pop() as number) * CHUNK_SIZE;
    return Buffer.from(memory.buffer, offset, CHUNK_SIZE);
  }

  /** Makes an arena, a smaller one where the process has no memory for more (`RLIMIT_AS`). */
  #makeArena(): Arena {
    try {
      return new Arena(this.#length);
    } catch (error) {
      if (this.#length === 1) throw error;
      this.#length = Math.ceil(this.#length / 4);
      return this.#makeArena();
    }
  }
}
