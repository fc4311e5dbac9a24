/** The names of one directory, and the nodes that they lead to. No node ever returns under another name. */

import { FuseError } from 'ringfuse';

/** Names as one thread or several have them. */
export interface Names {
  /** The node of a name. */
  get(name: string): number | undefined;
  /** Adds a name with a new node. Undefined if it is there already. */
  add(name: string): number | undefined;
  /** Gives a name to a node that had another one, whatever had it before. */
  set(name: string, ino: number): void;
  /** Takes a name away; false if there is none. */
  delete(name: string): boolean;
  /** All names and nodes, in the order of the nodes. */
  entries(): Iterable<readonly [string, number]>;
}

/** Names of one thread. */
export class OwnNames implements Names {
  readonly #nodes: Map<string, number> = new Map();
  #last: number;

  /** Nodes have numbers above `last`. */
  constructor(last: number) {
    this.#last = last;
  }

  get(name: string): number | undefined {
    return this.#nodes.get(name);
  }

  add(name: string): number | undefined {
    if (this.#nodes.has(name)) return undefined;
    this.#last += 1;
    this.#nodes.set(name, this.#last);
    return this.#last;
  }

  set(name: string, ino: number): void {
    this.#nodes.set(name, ino);
  }

  delete(name: string): boolean {
    return this.#nodes.delete(name);
  }

  entries(): Iterable<readonly [string, number]> {
    return [...this.#nodes].sort(([, one], [, other]) => one - other);
  }
}

/** Buckets of the shared table, each with a lock of its own. */
const BUCKETS = 1024;
/** Names in a bucket, at most. */
const PLACES = 15;
/** A name takes a place of 64 bytes: its node, its length, its bytes. A bucket's lock takes the first place. */
const PLACE_WORDS = 16;
const PLACE_BYTES = PLACE_WORDS * 4;
const LONGEST_NAME = PLACE_BYTES - 8;
const BUCKET_WORDS = PLACE_WORDS * (PLACES + 1);

/** Names in memory that several threads share. */
export class SharedNames implements Names {
  /** The memory, for the other threads. */
  readonly memory: SharedArrayBuffer;
  /** First the last node, then the buckets, one place further on. */
  readonly #words: Int32Array;
  readonly #bytes: Buffer;

  /** An empty table whose nodes have numbers above `last`. */
  static make(last: number): SharedNames {
    const names = new SharedNames(new SharedArrayBuffer((PLACE_WORDS + BUCKETS * BUCKET_WORDS) * 4));
    Atomics.store(names.#words, 0, last);
    return names;
  }

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
    this.#bytes = Buffer.from(memory);
  }

  get(name: string): number | undefined {
    return this.#inBucket(name, (place) => (place === undefined ? undefined : this.#words[place]));
  }

  add(name: string): number | undefined {
    return this.#inBucket(name, (place, bucket) => {
      if (place !== undefined) return undefined;
      const ino = Atomics.add(this.#words, 0, 1) + 1;
      this.#write(bucket, name, ino);
      return ino;
    });
  }

  set(name: string, ino: number): void {
    this.#inBucket(name, (place, bucket) => {
      if (place === undefined) this.#write(bucket, name, ino);
      else this.#words[place] = ino;
    });
  }

  delete(name: string): boolean {
    return this.#inBucket(name, (place) => {
      if (place === undefined) return false;
      this.#words[place] = 0;
      return true;
    });
  }

  entries(): Iterable<readonly [string, number]> {
    const found: [string, number][] = [];
    for (let bucket = PLACE_WORDS; bucket < this.#words.length; bucket += BUCKET_WORDS) {
      this.#locked(bucket, () => {
        for (const place of places(bucket)) {
          if (this.#words[place] !== 0) found.push([this.#nameAt(place), this.#words[place]]);
        }
      });
    }
    return found.sort(([, one], [, other]) => one - other);
  }

  /** Calls `use` with the place of `name`, if it has one, and with its bucket. */
  #inBucket<Result>(name: string, use: (place: number | undefined, bucket: number) => Result): Result {
    const bucket = PLACE_WORDS + (hash(name) % BUCKETS) * BUCKET_WORDS;
    return this.#locked(bucket, () => {
      for (const place of places(bucket)) {
        if (
          this.#words[place] !== 0 &&
          this.#words[place + 1] === name.length &&
          this.#nameAt(place) === name
        ) {
          return use(place, bucket);
        }
      }
      return use(undefined, bucket);
    });
  }

  /** Threads wait by looking again: what is done with a bucket takes less than a microsecond. */
  #locked<Result>(bucket: number, body: () => Result): Result {
    while (Atomics.compareExchange(this.#words, bucket, 0, 1) !== 0);
    try {
      return body();
    } finally {
      Atomics.store(this.#words, bucket, 0);
    }
  }

  #write(bucket: number, name: string, ino: number): void {
    if (Buffer.byteLength(name) > LONGEST_NAME) throw new FuseError('ENAMETOOLONG');
    for (const place of places(bucket)) {
      if (this.#words[place] !== 0) continue;
      this.#words[place] = ino;
      this.#words[place + 1] = this.#bytes.write(name, place * 4 + 8, 'latin1');
      return;
    }
    throw new FuseError('ENOSPC');
  }

  #nameAt(place: number): string {
    const start = place * 4 + 8;
    return this.#bytes.toString('latin1', start, start + this.#words[place + 1]);
  }
}

/** The first word of each place in a bucket: the node's number, 0 where the place is free. */
function* places(bucket: number): Generator<number> {
  for (let place = 1; place <= PLACES; place += 1) yield bucket + place * PLACE_WORDS;
}

/** Fowler, Noll and Vo's FNV-1a of the UTF-16 units. */
function hash(name: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) {
    value = Math.imul(value ^ name.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
