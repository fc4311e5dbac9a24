import type { NativeMount } from './binding.ts';
import { fromNative } from './errors.ts';

/**
 * A file that the kernel reads and writes in place of the filesystem: reply with `FOPEN.PASSTHROUGH` among
 * `openFlags` and its `id` as `backingId`.
 */
export class Backing implements Disposable {
  /** What `backingId` of a reply is set to. */
  readonly id: number;
  readonly #native: NativeMount;
  #closed = false;

  /** @internal */
  constructor(native: NativeMount, fd: number) {
    try {
      this.id = native.openBacking(fd);
    } catch (error) {
      throw fromNative(error);
    }
    this.#native = native;
  }

  /** Takes the file back from the kernel; files that were opened with it go on. Does nothing the second time. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#native.closeBacking(this.id);
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** As {@link Backing.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
