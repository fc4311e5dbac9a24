import { FuseError } from 'ringfuse';
import { isAcl } from './acl.ts';
import { byteLength } from './names.ts';
import type { Space } from './space.ts';

/** `XATTR_CREATE` and `XATTR_REPLACE` of `setxattr(2)`. */
const CREATE = 1;
const REPLACE = 2;

/** `XATTR_NAME_MAX`, `XATTR_SIZE_MAX` and `XATTR_LIST_MAX` of `linux/limits.h`, in bytes. */
const LONGEST_NAME = 255;
const LARGEST_VALUE = 65536;
const LONGEST_LIST = 65536;

const NAMESPACES = ['user.', 'trusted.', 'security.'];

function checkName(name: string): void {
  if (isAcl(name)) return;
  const namespace = NAMESPACES.find((prefix) => name.startsWith(prefix));
  if (namespace === undefined) throw new FuseError('EOPNOTSUPP');
  if (name === namespace) throw new FuseError('EINVAL');
  if (byteLength(name) > LONGEST_NAME) throw new FuseError('ERANGE');
}

/** Bytes that an attribute takes of the JavaScript heap beside its name, at most. */
const ATTRIBUTE_COST = 512;

/** Bytes of the JavaScript heap for a UTF-16 unit of a name, at most. */
const BYTES_PER_UNIT = 2;

function heapCost(name: string): number {
  return ATTRIBUTE_COST + name.length * BYTES_PER_UNIT;
}

/** A copy with memory of its own: `Buffer.from` would keep a slab of 8 KiB for a few bytes. */
function copy(value: Uint8Array): Buffer {
  const own = Buffer.allocUnsafeSlow(value.length);
  own.set(value);
  return own;
}

/**
 * The extended attributes of a node, `xattr(7)`, in the namespaces `user`, `trusted` and `security`, and the access
 * control lists in `system`; others are EOPNOTSUPP. Names and values take space like contents. Who may see and set
 * which is the kernel's to check, but for the listing of `trusted`.
 */
export class Xattrs {
  readonly #values: Map<string, Buffer> = new Map();
  readonly #space: Space;
  /** Bytes of all names, with a NUL each, as `listxattr(2)` shows them. */
  #listSize = 0;

  constructor(space: Space) {
    this.#space = space;
  }

  /** The value of `name`, if it is there. */
  find(name: string): Buffer | undefined {
    return this.#values.get(name);
  }

  /** The value of `name`, or null; not an exception, as the kernel asks every file for what few have. */
  get(name: string): Buffer | null {
    const value = this.#values.get(name);
    if (value !== undefined) return value;
    checkName(name);
    return null;
  }

  /** Sets `name` to a copy of `value`; `flags` as `setxattr(2)`. */
  set(name: string, value: Uint8Array, flags: number): void {
    checkName(name);
    if (value.length > LARGEST_VALUE) throw new FuseError('E2BIG');
    const old = this.#values.get(name);
    if (old !== undefined && flags & CREATE) throw new FuseError('EEXIST');
    if (old === undefined && flags & REPLACE) throw new FuseError('ENODATA');
    const nameSize = old === undefined ? byteLength(name) + 1 : 0;
    if (this.#listSize + nameSize > LONGEST_LIST) throw new FuseError('ENOSPC');
    const more = nameSize + value.length - (old?.length ?? 0);
    if (!this.#space.take(more)) throw new FuseError('ENOSPC');
    if (old === undefined && !this.#space.takeHeap(heapCost(name))) {
      this.#space.take(-more);
      throw new FuseError('ENOSPC');
    }
    this.#listSize += nameSize;
    this.#values.set(name, copy(value));
  }

  /** Removes `name`, or ENODATA. An access control list that is not there can be removed, as `acl(5)` has it. */
  remove(name: string): void {
    if (this.get(name) === null && !isAcl(name)) throw new FuseError('ENODATA');
    this.discard(name);
  }

  /** Removes `name` if it is there. */
  discard(name: string): void {
    const old = this.#values.get(name);
    if (old === undefined) return;
    const nameSize = byteLength(name) + 1;
    this.#values.delete(name);
    this.#listSize -= nameSize;
    this.#space.take(-nameSize - old.length);
    this.#space.takeHeap(-heapCost(name));
  }

  /** Removes all. */
  clear(): void {
    for (const name of this.#values.keys()) this.discard(name);
  }

  /** The names that the user may see: `trusted` is for the superuser. */
  names(uid: number): string[] {
    const names = [...this.#values.keys()];
    return uid === 0 ? names : names.filter((name) => !name.startsWith('trusted.'));
  }
}
