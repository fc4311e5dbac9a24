/** `struct fuse_file_lock`. */

import { FILE_LOCK, LK_OUT } from '../generated/layout.ts';
import { readExact, writeU32, writeU64, wrongValue } from '../numbers.ts';
import type { FileLock } from '../requests/locks.ts';
import type { Slot } from '../slot.ts';

const UNLOCKED = 2;

/** `OFFSET_MAX`: the last byte of a lock to the end of the file. */
const TO_THE_END = 0x7fff_ffff_ffff_ffffn;

/** Reads a lock. */
export function readLock(view: DataView, at: number): FileLock {
  const toTheEnd = view.getBigUint64(at + FILE_LOCK.end, true) === TO_THE_END;
  return {
    start: readExact(view, at + FILE_LOCK.start),
    end: toTheEnd ? Number.POSITIVE_INFINITY : readExact(view, at + FILE_LOCK.end),
    type: view.getUint32(at + FILE_LOCK.type, true),
    pid: view.getUint32(at + FILE_LOCK.pid, true),
  };
}

/** Writes the reply to `getlk`. */
export function writeLock({ view, payload }: Slot, reply: FileLock | null): number {
  payload.fill(0, 0, LK_OUT.SIZE);
  if (reply === null) {
    view.setUint32(LK_OUT.lk + FILE_LOCK.type, UNLOCKED, true);
    return LK_OUT.SIZE;
  }
  if (typeof reply !== 'object') throw wrongValue('value', 'a lock or null', reply);
  const { start, end, type, pid } = reply;
  // Linux takes no other, and answers EIO (`convert_fuse_file_lock`).
  if (type !== 0 && type !== 1 && type !== UNLOCKED)
    throw wrongValue('type', 'F_RDLCK, F_WRLCK or F_UNLCK', type);
  writeU64(view, LK_OUT.lk + FILE_LOCK.start, start, 'start');
  writeU64(view, LK_OUT.lk + FILE_LOCK.end, end === Number.POSITIVE_INFINITY ? TO_THE_END : end, 'end');
  if (start > end) throw wrongValue('end', `a byte from ${start}, where the lock starts`, end);
  if (end > TO_THE_END && end !== Number.POSITIVE_INFINITY) throw wrongValue('end', 'at most 2^63 - 1', end);
  writeU32(view, LK_OUT.lk + FILE_LOCK.type, type, 'type');
  writeU32(view, LK_OUT.lk + FILE_LOCK.pid, pid, 'pid');
  return LK_OUT.SIZE;
}
