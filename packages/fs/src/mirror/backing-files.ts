import { type Connection, FuseError } from 'ringfuse';
import type { NodeTable } from 'ringfuse/system-calls';

/** What a mirror needs of the mount that it serves: the `Mount` itself, or what a worker has for it. */
export type MirrorMount = Pick<
  Connection,
  'path' | 'capabilities' | 'queueDepth' | 'notify' | 'openBacking' | 'closeBacking'
>;

/** Files that the kernel reads and writes itself: one for each node, from its first open on. */
export class BackingFiles {
  readonly #mount: MirrorMount;
  readonly #nodes: NodeTable;
  #possible: boolean;

  constructor(mount: MirrorMount, nodes: NodeTable) {
    this.#mount = mount;
    this.#nodes = nodes;
    this.#possible = mount.capabilities.includes('PASSTHROUGH');
  }

  /** Counts an open of the node, which may write or not: the id of its backing file, or 0 if its contents come by requests. */
  open(ino: number, writes: boolean): number {
    if (!this.#possible) return 0;
    // Before the open is counted, as it may throw.
    const fd = this.#nodes.descriptor(ino);
    const id = this.#nodes.beginOpen(ino, writes);
    if (id !== 0) return Math.max(id, 0);
    const made = this.#make(fd);
    this.#nodes.setBacking(ino, made);
    return made;
  }

  /** As {@link BackingFiles.open}, but without counting it if the node has no backing file yet. */
  openAgain(ino: number): number {
    return this.#possible ? this.#nodes.openAgain(ino) : 0;
  }

  /** Counts a `release` of the node. */
  release(ino: number, writes: boolean): void {
    this.#close(this.#nodes.endOpen(ino, writes));
  }

  /** Takes lookups of the node back; with the last one its backing file goes. */
  forget(ino: number, lookups: number): void {
    this.#close(this.#nodes.forget(ino, lookups));
  }

  #close(id: number): void {
    if (id !== 0) this.#mount.closeBacking(id);
  }

  #make(fd: number): number {
    try {
      return this.#mount.openBacking(fd).id;
    } catch (error) {
      // Without the privilege it cannot be had for any file; otherwise for this one, as on a stacked filesystem.
      if (FuseError.is(error) && error.errno === -EPERM) this.#possible = false;
      return 0;
    }
  }
}

const EPERM = 1;
