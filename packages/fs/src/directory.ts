/** What a directory must know of the nodes that it names. */
export interface Node {
  readonly ino: number;
  readonly mode: number;
}

/** Positions of `.` and `..`; the first entry has the next one. */
const DOT = 1;
const DOT_DOT = 2;

/** Removed entries are swept out of a directory's order when there are more than so many, and half of it. */
const FEW = 32;

/**
 * A name in a directory: as it stands, an entry of a `readdir` and of a `readdirplus` reply.
 */
export class Entry<N extends Node> {
  name: string;
  node: N;
  /** Its place in the order of the directory, the same for as long as it exists. */
  readonly offset: number;
  removed = false;

  constructor(name: string, node: N, offset: number) {
    this.name = name;
    this.node = node;
    this.offset = offset;
  }

  get ino(): number {
    return this.node.ino;
  }

  get mode(): number {
    return this.node.mode;
  }

  get attr(): N {
    return this.node;
  }

  /** Whether it is `.` or `..`. */
  get isDot(): boolean {
    return this.offset <= DOT_DOT;
  }
}

/**
 * The names of a directory: found by name in O(1), and in the order of their making by offset. An offset names
 * the place behind an entry and stays true while entries come and go, so that a listing in pieces has each
 * entry that was there all along exactly once.
 */
export class Directory<N extends Node> {
  /** The directory that `..` is. */
  parent: N;
  readonly #self: N;
  readonly #byName: Map<string, Entry<N>> = new Map();
  /** Offsets ascend. Removed entries stay until they are swept out. */
  #order: Entry<N>[] = [];
  #lastOffset = DOT_DOT;

  constructor(self: N, parent: N) {
    this.#self = self;
    this.parent = parent;
  }

  /** Number of entries, without `.` and `..`. */
  get size(): number {
    return this.#byName.size;
  }

  /** The offset of the youngest entry there was: entries made later have a higher one. */
  get lastOffset(): number {
    return this.#lastOffset;
  }

  /** The entry of a name. */
  get(name: string): Entry<N> | undefined {
    return this.#byName.get(name);
  }

  /** Adds an entry, whose name must be free, at the end. */
  add(name: string, node: N): void {
    this.#lastOffset += 1;
    const entry = new Entry(name, node, this.#lastOffset);
    this.#byName.set(name, entry);
    this.#order.push(entry);
  }

  /** Removes an entry. */
  remove(entry: Entry<N>): void {
    this.#byName.delete(entry.name);
    entry.removed = true;
    const removed = this.#order.length - this.#byName.size;
    if (removed > FEW && removed > this.#byName.size) this.#order = this.#order.filter((e) => !e.removed);
  }

  /** Gives an entry another name, which must be free. It keeps its place: a listing cannot meet it twice. */
  rename(entry: Entry<N>, name: string): void {
    this.#byName.delete(entry.name);
    entry.name = name;
    this.#byName.set(name, entry);
  }

  /**
   * The entries behind `offset`, up to that of offset `last`; `.` and `..` are the first two. The directory
   * may not change while they are taken.
   */
  *after(offset: number, last: number): Generator<Entry<N>, void, undefined> {
    if (offset < DOT) yield new Entry('.', this.#self, DOT);
    if (offset < DOT_DOT) yield new Entry('..', this.parent, DOT_DOT);
    for (let i = this.#firstAfter(offset); i < this.#order.length; i += 1) {
      const entry = this.#order[i];
      if (entry.offset > last) return;
      if (!entry.removed) yield entry;
    }
  }

  /** The place in the order of the first entry with a higher offset. */
  #firstAfter(offset: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#order[middle].offset > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
