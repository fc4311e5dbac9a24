/** Replies to `getxattr` and `listxattr`: the value, or its size where the caller asks for that. */

import { copyBytes, isBytes, lengthOf } from '../bytes.ts';
import { errnoFrom } from '../errors.ts';
import { GETXATTR_OUT } from '../generated/layout.ts';
import { encodeName } from '../names.ts';
import { wrongValue } from '../numbers.ts';
import type { Slot } from '../slot.ts';

const ENODATA = errnoFrom('ENODATA');
const ERANGE = errnoFrom('ERANGE');

/**
 * `XATTR_LIST_MAX` of `linux/limits.h`, bytes. Of a longer list Linux makes E2BIG when it gets ERANGE for a caller with
 * that much room. Callers can make lists that long: it is no error of the handler.
 */
const LONGEST_LIST = 65_536;

/** Writes the reply to `getxattr`; an attribute that is not there is an errno. */
export function writeXattr(slot: Slot, reply: Uint8Array | string | null, size: number): number {
  if (reply === null) return -ENODATA;
  const value = typeof reply === 'string' ? Buffer.from(reply, 'utf8') : reply;
  if (!isBytes(value)) throw wrongValue('value', 'a Uint8Array or a string', reply);
  return writeSized(slot, value, size);
}

/** Writes the reply to `listxattr`. */
export function writeXattrNames(slot: Slot, names: Iterable<string>, size: number): number {
  if (typeof names !== 'object' || names === null || !(Symbol.iterator in names)) {
    throw wrongValue('value', 'an iterable of names', names);
  }
  const list: Buffer[] = [];
  let length = 0;
  for (const name of names) {
    const bytes = terminated(name);
    length += bytes.length;
    if (length > LONGEST_LIST) return size === 0 ? writeSize(slot, length) : -ERANGE;
    list.push(bytes);
  }
  return writeSized(slot, Buffer.concat(list, length), size);
}

function terminated(name: string): Buffer {
  if (typeof name !== 'string' || name === '' || name.includes('\0')) {
    throw wrongValue('name', 'a string without NUL, and not empty', name);
  }
  return encodeName(`${name}\0`);
}

function writeSized(slot: Slot, value: Uint8Array, size: number): number {
  const length = lengthOf(value);
  if (size === 0) return writeSize(slot, length);
  if (length > size) return -ERANGE;
  copyBytes(slot.payload, value);
  return length;
}

function writeSize(slot: Slot, length: number): number {
  slot.view.setUint32(GETXATTR_OUT.size, length, true);
  slot.view.setUint32(GETXATTR_OUT.padding, 0, true);
  return GETXATTR_OUT.SIZE;
}
