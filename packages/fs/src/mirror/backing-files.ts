import { type Connection, FuseError } from 'ringfuse';
import type { NodeTable } from 'ringfuse/system-calls';

/** What a mirror needs of the mount that it serves: the `Mount` itself, or what a worker has for it. */
export type MirrorMount = Pick<Connection, 'path' | 'capabilities' | 'openBacking' | 'closeBacking'>;

/** Files that the kernel reads and writes itself, as long as they are open: one for each node. */
export class BackingFiles {
  readonly #mount: MirrorMount;
  readonly #nodes: NodeTable;
  #possible: boolean;

  constructor(mount: MirrorMount, nodes: NodeTable) {
    this.#mount = mount;
    this.#nodes = nodes;
    this.#possible = mount.capabilities.includes('PASSTHROUGH');
  }

  /** Counts an open of the node: the id of its backing file, or 0 if its contents come by requests. */
  open(ino: number): number {
    if (!this.#possible) return 0;
    const id = this.#nodes.beginOpen(ino);
    if (id !== 0) return Math.max(id, 0);
    const made = this.#make(this.#nodes.descriptor(ino));
    this.#nodes.setBacking(ino, made);
    return made;
  }

  /** Counts a `release` of the node. */
  release(ino: number): void {
    const id = this.#nodes.endOpen(ino);
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
