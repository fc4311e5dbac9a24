/** `struct fuse_attr` and `struct fuse_attr_out` from {@link Attributes}. */

import type { Attributes, AttributesReply, StatxReply, Time } from '../attributes.ts';
import { ATTR, ATTR_OUT, STATX, STATX_OUT, SX_TIME } from '../generated/layout.ts';
import { writeI64, writeU32, writeU64, wrongValue } from '../numbers.ts';
import type { Slot } from '../slot.ts';
import { checkType } from './types.ts';

const BLOCK = 512;
const NANOSECONDS = 1_000_000_000;
const NANOSECONDS_BIG = 1_000_000_000n;

/** `LLONG_MAX`: bytes of the largest file that Linux takes (`fuse_valid_size`). */
const LARGEST_FILE = 0x7fff_ffff_ffff_ffffn;

/** Longest timeout in seconds: beyond it the kernel's own arithmetic saturates too. */
const LONGEST_TIMEOUT = 0x7fff_ffff;

/** Writes the reply to `getattr` and `setattr`. */
export function writeAttributes(slot: Slot, reply: AttributesReply, ino: number): number {
  if (typeof reply !== 'object' || reply === null) throw wrongValue('value', 'an object with attr', reply);
  const { view, channel } = slot;
  const { attr, attrTimeout = channel.defaults.attrTimeout } = reply;
  writeTimeout(view, ATTR_OUT.attr_valid, ATTR_OUT.attr_valid_nsec, attrTimeout, 'attrTimeout');
  view.setUint32(ATTR_OUT.dummy, 0, true);
  writeAttr(slot, ATTR_OUT.attr, attr, ino, channel.types.get(ino));
  return ATTR_OUT.SIZE;
}

/** `STATX_BASIC_STATS` and `STATX_BTIME`. */
const BASIC_STATS = 0x7ff;
const BIRTH_TIME = 0x800;
const MINOR_LOW = 0xff;
const MINOR_HIGH_SHIFT = 12;
const MAJOR_SHIFT = 8;
const MAJOR_MASK = 0xfff;

/** Writes the reply to `statx`. */
export function writeStatx(slot: Slot, reply: StatxReply, ino: number): number {
  if (typeof reply !== 'object' || reply === null) throw wrongValue('value', 'an object with attr', reply);
  const { view, channel, payload } = slot;
  const { attr, attrTimeout = channel.defaults.attrTimeout } = reply;
  if (typeof attr !== 'object' || attr === null) throw wrongValue('attr', 'an object', attr);
  const { mode, size = 0, rdev = 0, attributes = 0, attributesMask = attributes, birthtime } = attr;
  payload.fill(0, 0, STATX_OUT.SIZE);
  writeTimeout(view, STATX_OUT.attr_valid, STATX_OUT.attr_valid_nsec, attrTimeout, 'attrTimeout');
  const base = STATX_OUT.stat;
  const time = (field: number, value: Time | undefined, name: string): void =>
    writeTime(view, base + field + SX_TIME.tv_sec, base + field + SX_TIME.tv_nsec, value, name);
  view.setUint32(base + STATX.mask, birthtime === undefined ? BASIC_STATS : BASIC_STATS | BIRTH_TIME, true);
  writeU32(view, base + STATX.blksize, attr.blksize ?? 4096, 'attr.blksize');
  writeU64(view, base + STATX.attributes, attributes, 'attr.attributes');
  writeU32(view, base + STATX.nlink, attr.nlink ?? 1, 'attr.nlink');
  writeU32(view, base + STATX.uid, attr.uid ?? 0, 'attr.uid');
  writeU32(view, base + STATX.gid, attr.gid ?? 0, 'attr.gid');
  if ((mode & 0xffff) !== mode) throw wrongValue('attr.mode', 'a mode of 16 bits', mode);
  checkType(mode, channel.types.get(ino));
  view.setUint16(base + STATX.mode, mode, true);
  writeU64(view, base + STATX.ino, attr.ino ?? ino, 'attr.ino');
  writeSize(slot, base + STATX.size, size);
  writeU64(view, base + STATX.blocks, attr.blocks ?? blocksOf(size), 'attr.blocks');
  writeU64(view, base + STATX.attributes_mask, attributesMask, 'attr.attributesMask');
  time(STATX.atime, attr.atime, 'attr.atime');
  time(STATX.mtime, attr.mtime, 'attr.mtime');
  time(STATX.ctime, attr.ctime, 'attr.ctime');
  time(STATX.btime, birthtime, 'attr.birthtime');
  if (rdev >>> 0 !== rdev) throw wrongValue('attr.rdev', 'a whole number from 0 to 4294967295', rdev);
  // `makedev(3)` of 32 bits: 12 bits of major between the 8 low and 12 high bits of minor.
  view.setUint32(base + STATX.rdev_major, (rdev >>> MAJOR_SHIFT) & MAJOR_MASK, true);
  view.setUint32(
    base + STATX.rdev_minor,
    (rdev & MINOR_LOW) | ((rdev >>> MINOR_HIGH_SHIFT) & ~MINOR_LOW),
    true,
  );
  return STATX_OUT.SIZE;
}

/**
 * Writes a `struct fuse_attr` at `base`. `type`: the `S_IF*` bits that it must have, or `ANY_TYPE`.
 *
 * @returns The mode.
 */
export function writeAttr(slot: Slot, base: number, attr: Attributes, ino: number, type: number): number {
  if (typeof attr !== 'object' || attr === null) throw wrongValue('attr', 'an object', attr);
  const { view } = slot;
  const { mode, size = 0 } = attr;
  writeU64(view, base + ATTR.ino, attr.ino ?? ino, 'attr.ino');
  writeSize(slot, base + ATTR.size, size);
  writeU64(view, base + ATTR.blocks, attr.blocks ?? blocksOf(size), 'attr.blocks');
  writeTime(view, base + ATTR.atime, base + ATTR.atimensec, attr.atime, 'attr.atime');
  writeTime(view, base + ATTR.mtime, base + ATTR.mtimensec, attr.mtime, 'attr.mtime');
  writeTime(view, base + ATTR.ctime, base + ATTR.ctimensec, attr.ctime, 'attr.ctime');
  writeU32(view, base + ATTR.mode, mode, 'attr.mode');
  checkType(mode, type);
  writeU32(view, base + ATTR.nlink, attr.nlink ?? 1, 'attr.nlink');
  writeU32(view, base + ATTR.uid, attr.uid ?? 0, 'attr.uid');
  writeU32(view, base + ATTR.gid, attr.gid ?? 0, 'attr.gid');
  writeU32(view, base + ATTR.rdev, attr.rdev ?? 0, 'attr.rdev');
  writeU32(view, base + ATTR.blksize, attr.blksize ?? 4096, 'attr.blksize');
  view.setUint32(base + ATTR.flags, 0, true);
  return mode;
}

function writeSize(slot: Slot, at: number, size: number | bigint): void {
  if (typeof size === 'bigint') {
    if (size > LARGEST_FILE) throw wrongValue('attr.size', 'at most 2^63 - 1', size);
    slot.channel.wide.noteSize(size);
  }
  writeU64(slot.view, at, size, 'attr.size');
}

function blocksOf(size: number | bigint): number | bigint {
  return typeof size === 'bigint' ? (size + BigInt(BLOCK - 1)) / BigInt(BLOCK) : Math.ceil(size / BLOCK);
}

/** Writes seconds as the pair of whole seconds and nanoseconds. */
export function writeTimeout(
  view: DataView,
  at: number,
  atNanoseconds: number,
  seconds: number,
  field: string,
): void {
  if (typeof seconds !== 'number' || !(seconds >= 0))
    throw wrongValue(field, 'a number of seconds from 0', seconds);
  const whole = Math.min(Math.floor(seconds), LONGEST_TIMEOUT);
  view.setUint32(at, whole, true);
  view.setUint32(at + 4, 0, true);
  view.setUint32(atNanoseconds, Math.floor((seconds - whole) * NANOSECONDS) % NANOSECONDS, true);
}

function writeTime(
  view: DataView,
  at: number,
  atNanoseconds: number,
  time: Time | undefined,
  field: string,
): void {
  let sec = 0;
  let nsec = 0;
  if (typeof time === 'object' && time !== null) {
    if (time instanceof Date) {
      const milliseconds = time.getTime();
      sec = Math.floor(milliseconds / 1000);
      nsec = nanosecondsOf(milliseconds, sec);
    } else {
      sec = time.sec;
      nsec = time.nsec;
    }
  } else if (typeof time === 'number') {
    sec = Math.floor(time / 1000);
    nsec = nanosecondsOf(time, sec);
  } else if (typeof time === 'bigint') {
    nsec = Number(((time % NANOSECONDS_BIG) + NANOSECONDS_BIG) % NANOSECONDS_BIG);
    sec = Number((time - BigInt(nsec)) / NANOSECONDS_BIG);
  } else if (time !== undefined) {
    throw wrongValue(field, 'a time', time);
  }
  writeI64(view, at, sec, field);
  if (!(nsec >= 0 && nsec < NANOSECONDS))
    throw wrongValue(`${field}.nsec`, 'a number from 0 to 999999999', nsec);
  view.setUint32(atNanoseconds, nsec, true);
}

/** The nanoseconds of a time of whole seconds and a rest. */
function nanosecondsOf(milliseconds: number, sec: number): number {
  return Math.floor((milliseconds - sec * 1000) * 1_000_000);
}
