/** What a directory must know of the nodes that it names. */
export interface Node {
  readonly ino: number;
  readonly mode: number;
  /** See `AttributesReply`. */
  readonly attrTimeout?: number | undefined;
}

/** Positions of `.` and `..`; the first entry has the next one. */
const DOT = 1;
const DOT_DOT = 2;

/** What removed entries leave behind is swept out with the last entry, or once it is more than the rest and this. */
const FEW = 16;

/**
 * A name in a directory: as it stands, an entry of a `readdir` and of a `readdirplus` reply.
 */
export class Entry<N extends Node> {
  name: string;
  node: N;
  /** Its place in the order of the directory, the same for as long as it exists. */
  readonly offset: number;
  /** Whether the directory has it no more. */
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

  get attrTimeout(): number | undefined {
    return this.node.attrTimeout;
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
  #byName: Map<string, Entry<N>> = new Map();
  /**
   * Names taken out of the map since it was made. V8 keeps deleted keys in their hash chain, so that a name made and
   * removed again and again would be found ever more slowly.
   */
  #deleted = 0;
  /** Offsets ascend. A removed entry stays, without its name, until it is swept out. */
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

  /** Removes an entry, which then keeps nothing alive. The result is the node that it named. */
  remove(entry: Entry<N>): N {
    const { node } = entry;
    this.#byName.delete(entry.name);
    this.#deleted += 1;
    entry.removed = true;
    entry.name = '';
    entry.node = this.#self;
    this.#sweep();
    return node;
  }

  /** Gives an entry another name, which must be free. It keeps its place: a listing cannot meet it twice. */
  rename(entry: Entry<N>, name: string): void {
    this.#byName.delete(entry.name);
    this.#deleted += 1;
    entry.name = name;
    this.#byName.set(name, entry);
    this.#sweep();
  }

  /**
   * The entries behind `offset`, up to that of offset `last`; `.` and `..` are the first two. The directory
   * may not change while they are taken.
   */
  after(offset: number, last: number): IterableIterator<Entry<N>> {
    const dots: Entry<N>[] = [];
    if (offset < DOT) dots.push(new Entry('.', this.#self, DOT));
    if (offset < DOT_DOT) dots.push(new Entry('..', this.parent, DOT_DOT));
    return new Listing(dots, this.#order, this.#firstAfter(offset), last);
  }

  #sweep(): void {
    const most = this.size === 0 ? 0 : Math.max(this.size, FEW);
    if (this.#order.length - this.size > most) this.#order = this.#order.filter((entry) => !entry.removed);
    if (this.#deleted <= most) return;
    this.#deleted = 0;
    this.#byName = new Map(this.#byName);
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

/** What {@link Directory.after} gives: not a generator, which takes several times as long for each entry. */
class Listing<N extends Node> implements IterableIterator<Entry<N>> {
  readonly #dots: Entry<N>[];
  readonly #order: readonly Entry<N>[];
  readonly #last: number;
  #index: number;

  constructor(dots: Entry<N>[], order: readonly Entry<N>[], index: number, last: number) {
    this.#dots = dots;
    this.#order = order;
    this.#index = index;
    this.#last = last;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Entry<N>, undefined> {
    if (this.#dots.length > 0) return { done: false, value: this.#dots.shift() as Entry<N> };
    while (this.#index < this.#order.length) {
      const entry = this.#order[this.#index];
      if (entry.offset > this.#last) break;
      this.#index += 1;
      if (!entry.removed) return { done: false, value: entry };
    }
    return { done: true, value: undefined };
  }
}
