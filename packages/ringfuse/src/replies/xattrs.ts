/** Replies to `getxattr` and `listxattr`: the value, or its size where the caller asks for that. */

import { errnoFrom } from '../errors.ts';
import { GETXATTR_OUT } from '../generated/layout.ts';
import { encodeName } from '../names.ts';
import { wrongValue } from '../numbers.ts';
import type { Slot } from '../slot.ts';

const ENODATA = errnoFrom('ENODATA');
const ERANGE = errnoFrom('ERANGE');

/** Writes the reply to `getxattr`; an attribute that is not there is an errno. */
export function writeXattr(slot: Slot, reply: Uint8Array | string | null, size: number): number {
  if (reply === null) return -ENODATA;
  const value = typeof reply === 'string' ? Buffer.from(reply, 'utf8') : reply;
  if (!(value instanceof Uint8Array)) throw wrongValue('value', 'a Uint8Array or a string', reply);
  return writeSized(slot, value, size);
}

/** Writes the reply to `listxattr`. */
export function writeXattrNames(slot: Slot, names: Iterable<string>, size: number): number {
  if (typeof names !== 'object' || names === null || !(Symbol.iterator in names)) {
    throw wrongValue('value', 'an iterable of names', names);
  }
  return writeSized(slot, Buffer.concat(Array.from(names, terminated)), size);
}

function terminated(name: string): Buffer {
  if (typeof name !== 'string' || name === '' || name.includes('\0')) {
    throw wrongValue('name', 'a string without NUL, and not empty', name);
  }
  return encodeName(`${name}\0`);
}

function writeSized(slot: Slot, value: Uint8Array, size: number): number {
  if (size === 0) {
    slot.view.setUint32(GETXATTR_OUT.size, value.byteLength, true);
    slot.view.setUint32(GETXATTR_OUT.padding, 0, true);
    return GETXATTR_OUT.SIZE;
  }
  if (value.byteLength > size) return -ERANGE;
  slot.payload.set(value);
  return value.byteLength;
}
