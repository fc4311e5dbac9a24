/**
 * Bytes that a filesystem's code returns. A subclass, an own property or a changed prototype can make `byteLength` say
 * anything, so they are measured and copied by the language's own functions, taken when this module is loaded. These
 * run no code of the filesystem. Only shared memory can change meanwhile, and it only grows.
 */

const { prototype } = Object.getPrototypeOf(Uint8Array) as { prototype: Uint8Array };

const tagOf = uncurry(getter(Symbol.toStringTag)) as (value: unknown) => string | undefined;
const byteLength = uncurry(getter('byteLength')) as (value: unknown) => number;
const bufferIn = uncurry(getter('buffer')) as (value: unknown) => ArrayBufferLike;
const byteOffset = uncurry(getter('byteOffset')) as (value: unknown) => number;
const set = uncurry(prototype.set) as (target: Uint8Array, source: Uint8Array, at: number) => void;

function getter(name: PropertyKey): () => unknown {
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as () => unknown;
}

/** A method as a function whose first argument is `this`: V8 compiles it to the method itself. */
function uncurry(method: (...args: never[]) => unknown): unknown {
  return Function.prototype.call.bind(method);
}

/** Whether a value is a Uint8Array, of any realm and subclass. A proxy of one is none. */
export function isBytes(value: unknown): value is Uint8Array {
  return tagOf(value) === 'Uint8Array';
}

/** How many bytes there are: 0 of a view that is outside of its memory, or whose memory was transferred. */
export function lengthOf(bytes: Uint8Array): number {
  return byteLength(bytes);
}

/**
 * Copies `bytes` to `at` of `target`.
 * @throws TypeError if they are outside of their memory, or it was transferred; RangeError if they do not fit.
 */
export function copyBytes(target: Uint8Array, bytes: Uint8Array, at = 0): void {
  set(target, bytes, at);
}

/** The memory that `bytes` lie in. */
export function bufferOf(bytes: Uint8Array): ArrayBufferLike {
  return bufferIn(bytes);
}

/**
 * A view of the first `length` of `bytes`.
 * @throws RangeError, or TypeError, if there are fewer.
 */
export function firstBytes(bytes: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(bufferIn(bytes), byteOffset(bytes), length);
}

/** A copy of `bytes`, with the properties of a Buffer. */
export function ownBytes(bytes: Uint8Array): Buffer {
  const own = Buffer.allocUnsafeSlow(byteLength(bytes));
  set(own, bytes, 0);
  return own;
}
