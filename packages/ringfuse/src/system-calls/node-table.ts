import { constants } from 'node:os';
import type { NativeNodes } from '../binding.ts';
import { binding } from '../native.ts';
import { check } from './result.ts';
import type { Statx } from './statx.ts';

const { ESTALE } = constants.errno;

/** A number is the descriptor's, and above it a count that tells it from earlier numbers. */
const DESCRIPTORS = 0x100_0000;

/** In the descriptor's place: the node has a handle. */
const NO_DESCRIPTOR = DESCRIPTORS - 1;

/** The root's number, as the protocol has it. */
const ROOT = 1;

/** Descriptors that a thread borrows for nodes without one, at most. One request uses a few, which are its last ones. */
const MOST_BORROWED = 64;

/** Milliseconds: from LOOKUP to the next request on a file it is far less. */
const LIFETIME = 1000;

/**
 * The nodes of a filesystem over another one. Each has a number, `ino`, for the kernel, and a descriptor (`O_PATH`) that
 * stays with the file wherever it is moved. One file is one node, whatever its names. Beyond so many nodes further ones
 * have a file handle instead of the descriptor (`open_by_handle_at(2)`), where the filesystem has handles and the process
 * may open them (`CAP_DAC_READ_SEARCH`); that takes a little longer.
 *
 * As descriptors are the process's, the threads of a process can share a table: the same numbers mean the same to all
 * of them.
 */
export class NodeTable {
  readonly #native: NativeNodes;
  readonly #root: number;
  /** By number, the last used last: descriptors of nodes without one, until the code that runs now is done. */
  readonly #borrowed: Map<number, number> = new Map();

  #timer: NodeJS.Timeout | undefined;

  private constructor(native: NativeNodes) {
    this.#native = native;
    this.#root = native.root;
  }

  /**
   * Makes a table with a root.
   *
   * @param fd The root's descriptor, which the table takes over.
   * @param statx What `fstatx` says of it, with `STATX_MNT_ID`.
   * @param descriptors How many nodes may have a descriptor, if handles can be had.
   */
  static create(fd: number, statx: Statx, descriptors: number): NodeTable {
    const { NativeNodes } = binding();
    const native = new NativeNodes(descriptors);
    native.device(statx.bytes);
    check(native.enter(fd, statx.bytes));
    return new NodeTable(native);
  }

  /** The table with this {@link NodeTable.id}, of another thread. */
  static attach(id: number): NodeTable {
    return new NodeTable(binding().NativeNodes.attach(id));
  }

  /** Names the table to other threads of the process, as long as one holds it. */
  get id(): number {
    return this.#native.id;
  }

  /** How many nodes there are. */
  get size(): number {
    return this.#native.size;
  }

  /**
   * The descriptor of a node that the kernel named: to be used at once, and not kept.
   *
   * @throws FuseError ESTALE if the file of a handle is gone.
   */
  descriptor(ino: number): number {
    if (ino === ROOT) return this.#root;
    const fd = ino % DESCRIPTORS;
    return fd === NO_DESCRIPTOR ? this.#borrow(ino) : fd;
  }

  /** Counts one more lookup of a node that the kernel named. */
  count(ino: number): void {
    if (!this.#native.count(ino)) check(-ESTALE);
  }

  /**
   * Notes that a program may map the node's backing file for writing. It stays so until the node is forgotten, because a
   * mapping outlives the open file.
   *
   * @returns Whether that is new.
   */
  setMappable(ino: number): boolean {
    return this.#native.setMappable(ino);
  }

  /** Whether a program may have mapped the node's backing file for writing. */
  isMappable(ino: number): boolean {
    return this.#native.isMappable(ino);
  }

  /**
   * To be called of a file that is about to lose its last name: programs may have it open without a request, as with
   * `O_PATH` or as a working directory, and its handle would lead to nothing.
   *
   * @param statx What `statx` says of it, with `STATX_MNT_ID`.
   */
  keep(statx: Statx): void {
    this.#native.keep(statx.bytes);
  }

  /**
   * Takes over a descriptor and counts one lookup of its file. A file that is in the table already keeps its number, and
   * the descriptor is closed.
   *
   * @param statx What `fstatx` says of it, with `STATX_MNT_ID`.
   * @returns The node's number.
   * @throws FuseError ENFILE if the number of the descriptor is too large.
   */
  enter(fd: number, statx: Statx): number {
    const ino = check(this.#native.enter(fd, statx.bytes));
    if (ino % DESCRIPTORS === NO_DESCRIPTOR) this.#dropLater();
    return ino;
  }

  /**
   * Counts one lookup of a file that the table has with a descriptor, which takes none of its own.
   *
   * @param statx What `statx` says of a name of it, with `STATX_MNT_ID`.
   * @returns The node's number; or 0: then nothing was counted, and the file is to be opened and entered.
   */
  enterAgain(statx: Statx): number {
    return this.#native.enterAgain(statx.bytes);
  }

  /**
   * Takes lookups back. The last one removes the node and closes its descriptor.
   *
   * @returns The id of the backing file that the node kept, for the caller to close, or 0.
   */
  forget(ino: number, lookups: number): number {
    return this.#native.forget(ino, lookups);
  }

  /** The place of a file's device in the order in which devices were met; the root's is 0. */
  device(statx: Statx): number {
    return this.#native.device(statx.bytes);
  }

  /** Takes over the descriptor of an open file or directory, so that {@link NodeTable.close} closes it. */
  hold(fd: number): number {
    check(this.#native.hold(fd));
    return fd;
  }

  /** Closes an open file or directory. */
  release(fd: number): void {
    this.#native.release(fd);
  }

  /**
   * Counts one more open of a node, for passthrough: all opens of a node at once must have the same backing file.
   *
   * @param writes Whether the open file may be written.
   * @returns The backing file's id; -1 if it has none; or 0: then the caller makes it, and must call
   *   {@link NodeTable.setBacking} next, for which other threads wait.
   */
  beginOpen(ino: number, writes: boolean): number {
    return this.#native.beginOpen(ino, writes);
  }

  /**
   * Counts one more open, to read, of a node that has a backing file, and a descriptor by which to open it later.
   *
   * @returns The backing file's id; or 0: then nothing was counted.
   */
  openAgain(ino: number): number {
    return this.#native.openAgain(ino);
  }

  /** What came of making a backing file: its id, or 0 if it cannot be had. */
  setBacking(ino: number, id: number): void {
    this.#native.setBacking(ino, id);
  }

  /**
   * Counts one open less. A node with a descriptor keeps its backing file until it is forgotten.
   *
   * @param writes As for {@link NodeTable.beginOpen}.
   * @returns The id of the backing file that nobody uses any more, for the caller to close, or 0.
   */
  endOpen(ino: number, writes: boolean): number {
    return this.#native.endOpen(ino, writes);
  }

  /** Whether the kernel has the node open for writing by a backing file. */
  isWritten(ino: number): boolean {
    return this.#native.isWritten(ino);
  }

  /** The node whose capabilities root removed last, or 0: its next request may come to another thread. */
  get cleared(): number {
    return this.#native.cleared;
  }

  set cleared(ino: number) {
    this.#native.cleared = ino;
  }

  /** Closes every descriptor. No thread may use the table any more, nor numbers of it. */
  close(): void {
    clearTimeout(this.#timer);
    this.#native.close();
  }

  /** Descriptors of nodes with a handle are dropped when they are one to two {@link LIFETIME}s old. */
  #dropLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#native.dropOld()) this.#dropLater();
    }, LIFETIME).unref();
  }

  #borrow(ino: number): number {
    const borrowed = this.#borrowed;
    let fd = borrowed.get(ino);
    if (fd !== undefined) {
      // The last used ones, which a request may use still, are the last to go.
      borrowed.delete(ino);
      borrowed.set(ino, fd);
      return fd;
    }
    fd = check(this.#native.borrow(ino));
    this.#dropLater();
    if (borrowed.size === 0) process.nextTick(giveBack, this);
    for (const [oldest, descriptor] of borrowed) {
      if (borrowed.size < MOST_BORROWED) break;
      borrowed.delete(oldest);
      this.#native.giveBack(descriptor);
    }
    borrowed.set(ino, fd);
    return fd;
  }

  /** @internal Gives back what is borrowed: it would keep files that are removed meanwhile. */
  giveBack(): void {
    for (const fd of this.#borrowed.values()) this.#native.giveBack(fd);
    this.#borrowed.clear();
  }
}

const giveBack = (table: NodeTable): void => table.giveBack();
