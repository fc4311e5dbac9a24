/** Replies to `ioctl`, `poll` and `bmap`. */

import { copyBytes, isBytes, lengthOf } from '../bytes.ts';
import { BMAP_OUT, IOCTL_OUT, POLL_OUT } from '../generated/layout.ts';
import { writeU32, writeU64, wrongValue } from '../numbers.ts';
import type { IoctlReply } from '../requests/devices.ts';
import type { Slot } from '../slot.ts';

const nothing = new Uint8Array();

/** Writes the reply to `ioctl`. */
export function writeIoctl(slot: Slot, reply: IoctlReply = {}, size: number): number {
  if (typeof reply !== 'object' || reply === null) throw wrongValue('value', 'an object, or nothing', reply);
  const { result = 0, data = nothing } = reply;
  if (!isBytes(data)) throw wrongValue('data', 'a Uint8Array', data);
  const length = lengthOf(data);
  if (length > size) throw wrongValue('data', `at most ${size} bytes`, length);
  if ((result | 0) !== result) throw wrongValue('result', 'a 32-bit integer', result);
  slot.payload.fill(0, 0, IOCTL_OUT.SIZE);
  slot.view.setInt32(IOCTL_OUT.result, result, true);
  copyBytes(slot.payload, data, IOCTL_OUT.SIZE);
  return IOCTL_OUT.SIZE + length;
}

/** Writes the reply to `poll`. */
export function writePoll(slot: Slot, reply: number): number {
  writeU32(slot.view, POLL_OUT.revents, reply, 'value');
  slot.view.setUint32(POLL_OUT.padding, 0, true);
  return POLL_OUT.SIZE;
}

/** Writes the reply to `bmap`. */
export function writeBlock(slot: Slot, reply: number): number {
  writeU64(slot.view, BMAP_OUT.block, reply, 'value');
  return BMAP_OUT.SIZE;
}
