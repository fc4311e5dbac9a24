import { Chunks } from './chunks.ts';

/**
 * Bytes of the JavaScript heap that stand for an inode: a name of 255 bytes and its file, or directory, take no more
 * than one and a half of it.
 */
export const INODE_COST = 1024;

/**
 * What a filesystem may use, and what it uses: bytes of contents, and of the JavaScript heap. The heap is counted in
 * inodes: each name is one, and what else takes much of the heap takes from the inodes that are left.
 */
export class Space {
  /** Bytes of contents that may be allocated. */
  readonly size: number;
  /** Names and nameless open files that may exist; a hard link counts as one more. */
  readonly inodes: number;
  /** Memory for contents. */
  readonly chunks: Chunks;
  #usedSize = 0;
  #usedInodes = 0;
  #usedHeap = 0;

  constructor(size: number, inodes: number) {
    this.size = size;
    this.inodes = inodes;
    this.chunks = new Chunks(size);
  }

  /** Bytes that can still be allocated. */
  get freeSize(): number {
    return this.size - this.#usedSize;
  }

  /** Inodes that there are. */
  get usedInodes(): number {
    return this.#usedInodes;
  }

  /** Inodes that can still be made. */
  get freeInodes(): number {
    return Math.max(this.inodes - this.#usedInodes - Math.floor(this.#usedHeap / INODE_COST), 0);
  }

  /** Takes `bytes`; a negative number gives bytes back. False: so many are not left, and none was taken. */
  take(bytes: number): boolean {
    if (bytes > this.freeSize) return false;
    this.#usedSize += bytes;
    return true;
  }

  /** The same for bytes of the JavaScript heap, beside those of the inodes. */
  takeHeap(bytes: number): boolean {
    if (bytes > this.freeInodes * INODE_COST) return false;
    this.#usedHeap += bytes;
    return true;
  }

  /** Takes an inode. False: none is left. */
  takeInode(): boolean {
    if (this.freeInodes < 1) return false;
    this.#usedInodes += 1;
    return true;
  }

  /** Gives an inode back. */
  giveInode(): void {
    this.#usedInodes -= 1;
  }
}
