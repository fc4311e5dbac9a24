/** Lists of `struct fuse_dirent` and `struct fuse_direntplus`. */

import type { DirectoryEntry, DirectoryEntryPlus } from '../attributes.ts';
import { isBytes, ownBytes } from '../bytes.ts';
import { DIRENT, DIRENTPLUS, ENTRY_OUT, READ_IN } from '../generated/layout.ts';
import { encodeName } from '../names.ts';
import { writeU64, wrongReply, wrongValue } from '../numbers.ts';
import { ARGUMENTS, type Slot } from '../slot.ts';
import { NO_PARENT, writeEntryAt } from './entry.ts';
import { ANY_TYPE } from './types.ts';

const LONGEST_NAME = 255;
const FORMAT_SHIFT = 12;
const FORMAT_MASK = 0o17;
const ALIGNMENT = 8;

/** Writes the reply to `readdir`. */
export function writeDirectory(slot: Slot, entries: Iterable<DirectoryEntry>, size: number): number {
  return writeList(slot, entries, size, 0, writePlainHead);
}

/** Writes the reply to `readdirplus`. An entry without attributes is listed, and not looked up. */
export function writeDirectoryPlus(
  slot: Slot,
  entries: Iterable<DirectoryEntryPlus | DirectoryEntry>,
  size: number,
): number {
  return writeList(slot, entries, size, DIRENTPLUS.dirent, writePlusHead);
}

/** Writes the inode number of the `fuse_dirent` at `base`, and returns the entry's mode. */
function writePlainHead(slot: Slot, base: number, entry: DirectoryEntry): number {
  const { ino, mode = 0 } = entry;
  writeU64(slot.view, base + DIRENT.ino, ino, 'ino');
  if (mode >>> 0 !== mode) throw wrongValue('mode', 'a whole number from 0 to 4294967295', mode);
  return mode;
}

/** The same with the `fuse_entry_out` before it. */
function writePlusHead(
  slot: Slot,
  base: number,
  entry: DirectoryEntryPlus | DirectoryEntry,
  nameLength: number,
): number {
  const { view, payload } = slot;
  const at = base - DIRENTPLUS.dirent;
  if (!('attr' in entry)) {
    payload.fill(0, at, base);
    return writePlainHead(slot, base, entry);
  }
  const { attr } = entry;
  // The kernel does not look these two up; with a node it would count them.
  const dots = isDots(payload, base + DIRENT.SIZE, nameLength);
  const mode = writeEntryAt(slot, at, entry, dots ? NO_PARENT : slot.nodeid, ANY_TYPE);
  if (dots) view.setBigUint64(at + ENTRY_OUT.nodeid, 0n, true);
  writeU64(view, base + DIRENT.ino, attr.ino ?? entry.ino, 'attr.ino');
  return mode;
}

/**
 * Takes entries while they fit: `size` is the caller's room, `prefix` what each entry has before its
 * `fuse_dirent`. `writeHead` writes that prefix and the inode number, and returns the entry's mode.
 */
function writeList<Entry extends DirectoryEntry | DirectoryEntryPlus>(
  slot: Slot,
  entries: Iterable<Entry>,
  size: number,
  prefix: number,
  writeHead: (slot: Slot, base: number, entry: Entry, nameLength: number) => number,
): number {
  if (typeof entries !== 'object' || entries === null || !(Symbol.iterator in entries)) {
    throw wrongValue('value', 'an iterable of entries', entries);
  }
  const { payload, view } = slot;
  const room = Math.min(size, payload.length);
  let length = 0;
  let last = 0;
  for (const entry of entries) {
    if (typeof entry !== 'object' || entry === null) throw wrongValue('entry', 'an object', entry);
    const base = length + prefix;
    const name = base + DIRENT.SIZE;
    const nameLength = writeName(payload, name, room, entry.name);
    const next = (name + nameLength + ALIGNMENT - 1) & -ALIGNMENT;
    if (next > room) break;
    const mode = writeHead(slot, base, entry, nameLength);
    const { offset } = entry;
    // The listing would begin again.
    if (offset === 0 || offset === 0n) throw wrongValue('offset', 'a safe integer from 1', 0);
    if (typeof offset === 'bigint') slot.channel.wide.noteOffset(offset);
    writeU64(view, base + DIRENT.off, offset, 'offset');
    view.setUint32(base + DIRENT.namelen, nameLength, true);
    view.setUint32(base + DIRENT.type, (mode >> FORMAT_SHIFT) & FORMAT_MASK, true);
    for (let padding = name + nameLength; padding < next; padding += 1) payload[padding] = 0;
    length = next;
    last = base + DIRENT.off;
  }
  if (length > 0) checkProgress(slot, last);
  return length;
}

/**
 * The next request has the offset of the last entry, at `last` here: if it were that of this one, the caller would get
 * the same entries for ever. Offsets need not grow otherwise: those of a network filesystem may be in any order.
 */
function checkProgress({ header, view }: Slot, last: number): void {
  const asked = ARGUMENTS + READ_IN.offset;
  if (view.getUint32(last, true) !== header.getUint32(asked, true)) return;
  if (view.getUint32(last + 4, true) !== header.getUint32(asked + 4, true)) return;
  const offset = header.getBigUint64(asked, true);
  throw wrongReply(
    `the offset of the last entry is that of the request, ${offset}: begin with the entry after the request's offset`,
  );
}

/**
 * Writes a name at `at`, if it ends before `end`.
 *
 * @returns Its length in bytes.
 */
function writeName(payload: Buffer, at: number, end: number, name: string | Uint8Array): number {
  // Almost every name is short and ASCII, and needs no bytes of its own on the way.
  if (typeof name === 'string' && name.length <= LONGEST_NAME && at + name.length <= end) {
    let index = 0;
    for (; index < name.length; index += 1) {
      const code = name.charCodeAt(index);
      if (code >= 0x80 || code === SLASH || code === 0) break;
      payload[at + index] = code;
    }
    if (index === name.length && index > 0) return index;
  }
  const bytes = typeof name === 'string' ? encodeName(name) : isBytes(name) ? ownBytes(name) : undefined;
  if (bytes === undefined || bytes.length === 0 || bytes.length > LONGEST_NAME) {
    throw wrongValue('name', `a string or Uint8Array of 1 to ${LONGEST_NAME} bytes`, name);
  }
  if (bytes.includes(0) || bytes.includes(SLASH)) throw wrongValue('name', 'without / and NUL', name);
  if (at + bytes.length <= end) payload.set(bytes, at);
  return bytes.length;
}

const SLASH = 0x2f;
const DOT = 0x2e;

/** Whether the name of `length` bytes at `at` is `.` or `..`. */
function isDots(payload: Buffer, at: number, length: number): boolean {
  return payload[at] === DOT && (length === 1 || (length === 2 && payload[at + 1] === DOT));
}
