/** Replies that are bytes or one number. */

import { copyBytes, isBytes, lengthOf } from '../bytes.ts';
import { COPY_FILE_RANGE_OUT, LSEEK_OUT, WRITE_OUT } from '../generated/layout.ts';
import { encodeName } from '../names.ts';
import { writeU64, wrongValue } from '../numbers.ts';
import type { Slot } from '../slot.ts';

/** Longest target of a symbolic link, bytes: a page less its NUL. */
const LONGEST_TARGET = 4095;

/** Writes the reply to `read`: bytes, or how many of the buffer's were filled. */
export function writeBytes(slot: Slot, reply: number | Uint8Array, size: number): number {
  if (typeof reply === 'number') {
    if (reply >>> 0 !== reply || reply > size)
      throw wrongValue('value', `a number of bytes from 0 to ${size}`, reply);
    return reply;
  }
  if (!isBytes(reply)) throw wrongValue('value', 'a number of bytes or a Uint8Array', reply);
  const length = lengthOf(reply);
  if (length > size) throw wrongValue('value', `at most ${size} bytes`, length);
  copyBytes(slot.payload, reply);
  return length;
}

/** Writes the reply to `write`. */
export function writeCount(slot: Slot, reply: number, size: number): number {
  if (typeof reply !== 'number' || reply >>> 0 !== reply || reply > size) {
    throw wrongValue('value', `a number of bytes from 0 to ${size}`, reply);
  }
  slot.view.setUint32(WRITE_OUT.size, reply, true);
  slot.view.setUint32(WRITE_OUT.padding, 0, true);
  return WRITE_OUT.SIZE;
}

/** Writes the reply to `copy_file_range`, of 64 bits if it is `wide`. */
export function writeCopied(slot: Slot, reply: number, length: number, wide: boolean): number {
  if (!wide) return writeCount(slot, reply, length);
  if (!(reply <= length)) throw wrongValue('value', `a number of bytes from 0 to ${length}`, reply);
  writeU64(slot.view, COPY_FILE_RANGE_OUT.bytes_copied, reply, 'value');
  return COPY_FILE_RANGE_OUT.SIZE;
}

/** Writes the reply to `lseek`. */
export function writeOffset(slot: Slot, reply: number | bigint): number {
  writeU64(slot.view, LSEEK_OUT.offset, reply, 'value');
  return LSEEK_OUT.SIZE;
}

/** Writes the reply to `readlink`. */
export function writeLink(slot: Slot, reply: string | Uint8Array): number {
  const target = typeof reply === 'string' ? encodeName(reply) : reply;
  if (!isBytes(target)) throw wrongValue('value', 'a string or a Uint8Array', reply);
  const length = lengthOf(target);
  if (length === 0 || length > LONGEST_TARGET) {
    throw wrongValue('value', `1 to ${LONGEST_TARGET} bytes`, length);
  }
  copyBytes(slot.payload, target);
  if (slot.payload.subarray(0, length).includes(0)) throw wrongValue('value', 'without NUL', reply);
  return length;
}
