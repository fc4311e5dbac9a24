/** Elements at a level of the tree: a power of two, so that its powers divide exactly. */
const FANOUT = 32;

/** Bytes that a branch takes of the JavaScript heap, at most. */
export const BRANCH_COST = 512;

type Slot<T> = Branch<T> | T | undefined;

class Branch<T> {
  readonly slots: Slot<T>[] = new Array<Slot<T>>(FANOUT).fill(undefined);
  used = 0;

  put(digit: number, slot: Branch<T> | T): void {
    if (this.slots[digit] === undefined) this.used += 1;
    this.slots[digit] = slot;
  }

  take(digit: number): void {
    if (this.slots[digit] !== undefined) this.used -= 1;
    this.slots[digit] = undefined;
  }
}

/** The smallest index from `from` on that is filled, both counted from the slot's first; Infinity: none. */
function firstFilled<T>(slot: Slot<T>, width: number, from: number): number {
  if (slot === undefined) return Infinity;
  if (!(slot instanceof Branch)) return 0;
  const step = width / FANOUT;
  let digit = Math.floor(from / step);
  let inner = from - digit * step;
  for (; digit < FANOUT; digit += 1) {
    const found = firstFilled(slot.slots[digit], step, inner);
    if (found !== Infinity) return digit * step + found;
    inner = 0;
  }
  return Infinity;
}

/**
 * An array with indexes from 0 to `Number.MAX_SAFE_INTEGER` that costs memory only where it is filled: a radix
 * tree, no higher than its largest index needs. Finding, filling and emptying an index take a step a level
 * (one up to index 31, two up to 1023).
 */
export class SparseArray<T extends object> {
  #root: Slot<T>;
  /** Indexes below it have a place: {@link FANOUT} to the power of the tree's height. */
  #reach = 1;
  #branches = 0;

  /** Branches of the tree: what it takes beside its elements, see {@link BRANCH_COST}. */
  get branches(): number {
    return this.#branches;
  }

  /** The element at `index`. */
  get(index: number): T | undefined {
    if (index >= this.#reach) return undefined;
    let slot = this.#root;
    let step = this.#reach;
    while (slot instanceof Branch) {
      step /= FANOUT;
      slot = slot.slots[Math.floor(index / step) % FANOUT];
    }
    return slot;
  }

  /** Puts `element` at `index`. */
  set(index: number, element: T): void {
    while (index >= this.#reach) {
      if (this.#root !== undefined) {
        const top = this.#branch();
        top.put(0, this.#root);
        this.#root = top;
      }
      this.#reach *= FANOUT;
    }
    if (this.#reach === 1) {
      this.#root = element;
      return;
    }
    if (!(this.#root instanceof Branch)) this.#root = this.#branch();
    let branch: Branch<T> = this.#root;
    for (let step = this.#reach / FANOUT; step > 1; step /= FANOUT) {
      const digit = Math.floor(index / step) % FANOUT;
      let child = branch.slots[digit];
      if (!(child instanceof Branch)) {
        child = this.#branch();
        branch.put(digit, child);
      }
      branch = child;
    }
    branch.put(index % FANOUT, element);
  }

  /** Empties `index`. */
  delete(index: number): void {
    if (index >= this.#reach) return;
    this.#root = this.#without(this.#root, this.#reach, index);
    if (this.#root === undefined) this.#reach = 1;
  }

  /** The smallest index from `from` on that is filled; Infinity: none. */
  next(from: number): number {
    return from >= this.#reach ? Infinity : firstFilled(this.#root, this.#reach, from);
  }

  #branch(): Branch<T> {
    this.#branches += 1;
    return new Branch<T>();
  }

  /** What is left of the slot without the element at `index`: undefined once it holds nothing. */
  #without(slot: Slot<T>, width: number, index: number): Slot<T> {
    if (!(slot instanceof Branch)) return undefined;
    const step = width / FANOUT;
    const digit = Math.floor(index / step);
    const left = this.#without(slot.slots[digit], step, index - digit * step);
    if (left === undefined) slot.take(digit);
    if (slot.used > 0) return slot;
    this.#branches -= 1;
    return undefined;
  }
}
