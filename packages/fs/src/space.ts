/** What a filesystem may use, and what it uses: bytes of contents and inodes. */
export class Space {
  /** Bytes of contents that may be allocated. */
  readonly size: number;
  /** Names and nameless open files that may exist; a hard link counts as one more. */
  readonly inodes: number;
  #usedSize = 0;
  #usedInodes = 0;

  constructor(size: number, inodes: number) {
    this.size = size;
    this.inodes = inodes;
  }

  /** Bytes that can still be allocated. */
  get freeSize(): number {
    return this.size - this.#usedSize;
  }

  /** Inodes that can still be made. */
  get freeInodes(): number {
    return this.inodes - this.#usedInodes;
  }

  /** Takes `bytes`; a negative number gives bytes back. False: so many are not left, and none was taken. */
  take(bytes: number): boolean {
    if (bytes > this.freeSize) return false;
    this.#usedSize += bytes;
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
