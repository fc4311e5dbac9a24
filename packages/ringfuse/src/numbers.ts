/**
 * 64-bit fields as JavaScript numbers: exact or refused, never rounded.
 */

const TWO_32 = 0x1_0000_0000;

/** What no JavaScript number is exactly begins here, upwards and downwards. */
const BEYOND = Number.MAX_SAFE_INTEGER + 1;

/** Half of `Number.MAX_SAFE_INTEGER + 1`, as the upper 32 bits of a 64-bit field. */
const UNSAFE_HIGH = 0x20_0000;

/** A field of a request that no JavaScript number is; the caller gets `code`. */
export class UnsafeIntegerError extends RangeError {
  readonly code: 'EOVERFLOW' | 'EFBIG';

  constructor(message: string, code: 'EOVERFLOW' | 'EFBIG' = 'EOVERFLOW') {
    super(message);
    this.code = code;
  }
}

/**
 * Thrown where a request's own numbers say what its answer is: the handler is not asked. Not an `Error`, whose stack
 * would cost more than the request.
 */
export class CertainAnswer {
  /** The errno, positive, or 0. */
  readonly errno: number;
  /** Zeroed bytes that the reply has. */
  readonly length: number;

  constructor(errno: number, length = 0) {
    this.errno = errno;
    this.length = length;
  }
}

/** What a filesystem has given the kernel beyond `Number.MAX_SAFE_INTEGER`: its threads share it. */
export class Wide {
  readonly #seen: Int32Array;

  /** `seen` is made by {@link Wide.memory}. */
  constructor(seen: Int32Array) {
    this.#seen = seen;
  }

  /** `all`: another process may have given anything to this connection before. */
  static memory(all: boolean): Int32Array {
    return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)).fill(all ? 1 : 0);
  }

  /** Sizes of files. */
  get sizes(): boolean {
    return Atomics.load(this.#seen, 0) !== 0;
  }

  /** Offsets of directory entries. */
  get offsets(): boolean {
    return Atomics.load(this.#seen, 1) !== 0;
  }

  /** A reply has a size that is a bigint. */
  noteSize(size: bigint): void {
    if (size >= BEYOND) Atomics.store(this.#seen, 0, 1);
  }

  /** A reply has an offset that is a bigint. */
  noteOffset(offset: bigint): void {
    if (offset >= BEYOND) Atomics.store(this.#seen, 1, 1);
  }
}

/** Reads an unsigned field. */
export function readU64(view: DataView, at: number): number {
  return joinU64(view.getUint32(at, true), view.getUint32(at + 4, true));
}

/** The number of an unsigned field's two words. */
export function joinU64(low: number, high: number): number {
  if (high >= UNSAFE_HIGH) {
    throw new UnsafeIntegerError(`${(BigInt(high) << 32n) | BigInt(low)} is not a safe integer`);
  }
  return high * TWO_32 + low;
}

/** Reads an unsigned field to which a file may grow: one too large is `EFBIG`, as `write(2)` and `truncate(2)`. */
export function readSize(view: DataView, at: number): number {
  if (view.getUint32(at + 4, true) >= UNSAFE_HIGH) {
    throw new UnsafeIntegerError(`${view.getBigUint64(at, true)} is no size of a file here`, 'EFBIG');
  }
  return readU64(view, at);
}

/** Whether an unsigned field is beyond `Number.MAX_SAFE_INTEGER`. */
export function isWide(view: DataView, at: number): boolean {
  return view.getUint32(at + 4, true) >= UNSAFE_HIGH;
}

/** Reads an unsigned field of any size: a bigint beyond `Number.MAX_SAFE_INTEGER`. */
export function readExact(view: DataView, at: number): number | bigint {
  return isWide(view, at) ? view.getBigUint64(at, true) : readU64(view, at);
}

/** Reads the seconds of a time: the first or last that a number is, where they are beyond. */
export function readSeconds(view: DataView, at: number): number {
  const seconds = view.getInt32(at + 4, true) * TWO_32 + view.getUint32(at, true);
  return Math.min(Math.max(seconds, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
}

/** Writes an unsigned field; `field` names it in the TypeError for what does not fit. */
export function writeU64(view: DataView, at: number, value: number | bigint, field: string): void {
  // Almost every value is a small number.
  if (typeof value === 'number' && value >>> 0 === value) {
    view.setUint32(at, value, true);
    view.setUint32(at + 4, 0, true);
  } else {
    writeWideU64(view, at, value, field);
  }
}

function writeWideU64(view: DataView, at: number, value: number | bigint, field: string): void {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0)
      throw wrongValue(field, 'a safe integer from 0, or a bigint', value);
    view.setUint32(at, value >>> 0, true);
    view.setUint32(at + 4, (value / TWO_32) >>> 0, true);
  } else {
    if (typeof value !== 'bigint' || BigInt.asUintN(64, value) !== value) {
      throw wrongValue(field, 'a safe integer from 0, or a bigint of 64 bits', value);
    }
    view.setBigUint64(at, value, true);
  }
}

/** Writes a signed field; `field` names it in the TypeError for what does not fit. */
export function writeI64(view: DataView, at: number, value: number, field: string): void {
  if (!Number.isSafeInteger(value)) throw wrongValue(field, 'a safe integer', value);
  view.setUint32(at, value >>> 0, true);
  view.setInt32(at + 4, Math.floor(value / TWO_32), true);
}

/** Writes an unsigned 32-bit field; `field` names it in the TypeError for what does not fit. */
export function writeU32(view: DataView, at: number, value: number, field: string): void {
  if (typeof value !== 'number' || value >>> 0 !== value) {
    throw wrongValue(field, 'a whole number from 0 to 4294967295', value);
  }
  view.setUint32(at, value, true);
}

/** How messages of {@link wrongValue} begin. The request puts the operation's name in front. */
export const WRONG_REPLY = 'reply: ';

/** The TypeError for a reply's field. */
export function wrongValue(field: string, expected: string, value: unknown): TypeError {
  return wrongReply(`${field} must be ${expected}, not ${describe(value)}`);
}

/** The TypeError for a reply with this problem. */
export function wrongReply(problem: string): TypeError {
  return new TypeError(`${WRONG_REPLY}${problem}`);
}

function describe(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}
