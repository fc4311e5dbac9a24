/** Lists of `struct fuse_dirent` and `struct fuse_direntplus`. */

import type { DirectoryEntry, DirectoryEntryPlus } from '../attributes.ts';
import { DIRENT, DIRENTPLUS, ENTRY_OUT } from '../generated/layout.ts';
import { encodeName } from '../names.ts';
import { writeU64, wrongValue } from '../numbers.ts';
import type { Slot } from '../slot.ts';
import { writeEntryAt } from './entry.ts';

const LONGEST_NAME = 255;
const FORMAT_SHIFT = 12;
const FORMAT_MASK = 0o17;
const ALIGNMENT = 8;

/** Writes the reply to `readdir`. */
export function writeDirectory(slot: Slot, entries: Iterable<DirectoryEntry>, size: number): number {
  return writeList(slot, entries, size, 0, (base, entry) => writePlainHead(slot, base, entry));
}

/** Writes the reply to `readdirplus`. An entry without attributes is listed, and not looked up. */
export function writeDirectoryPlus(
  slot: Slot,
  entries: Iterable<DirectoryEntryPlus | DirectoryEntry>,
  size: number,
): number {
  return writeList(slot, entries, size, DIRENTPLUS.dirent, (base, entry) => {
    const { view, channel, payload } = slot;
    const at = base - DIRENTPLUS.dirent;
    if (!('attr' in entry)) {
      payload.fill(0, at, base);
      return writePlainHead(slot, base, entry);
    }
    writeEntryAt(view, at, entry, channel.defaults);
    // The kernel does not look these two up; with a node it would count them.
    if (isDots(entry.name)) view.setBigUint64(at + ENTRY_OUT.nodeid, 0n, true);
    writeU64(view, base + DIRENT.ino, entry.attr.ino ?? entry.ino, 'attr.ino');
    return entry.attr.mode;
  });
}

function writePlainHead(slot: Slot, base: number, { ino, mode = 0 }: DirectoryEntry): number {
  writeU64(slot.view, base + DIRENT.ino, ino, 'ino');
  if (mode >>> 0 !== mode) throw wrongValue('mode', 'a whole number from 0 to 4294967295', mode);
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
  writeHead: (base: number, entry: Entry) => number,
): number {
  if (typeof entries !== 'object' || entries === null || !(Symbol.iterator in entries)) {
    throw wrongValue('value', 'an iterable of entries', entries);
  }
  const { payload, view } = slot;
  const room = Math.min(size, payload.length);
  let length = 0;
  for (const entry of entries) {
    if (typeof entry !== 'object' || entry === null) throw wrongValue('entry', 'an object', entry);
    const name = typeof entry.name === 'string' ? encodeName(entry.name) : entry.name;
    if (!(name instanceof Uint8Array) || name.byteLength === 0 || name.byteLength > LONGEST_NAME) {
      throw wrongValue('name', `a string or Uint8Array of 1 to ${LONGEST_NAME} bytes`, entry.name);
    }
    if (name.includes(0) || name.includes(0x2f)) throw wrongValue('name', 'without / and NUL', entry.name);
    const base = length + prefix;
    const end = base + DIRENT.SIZE + name.byteLength;
    const next = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    if (next > room) break;
    const mode = writeHead(base, entry);
    // The listing would begin again.
    if (entry.offset === 0 || entry.offset === 0n) throw wrongValue('offset', 'a safe integer from 1', 0);
    writeU64(view, base + DIRENT.off, entry.offset, 'offset');
    view.setUint32(base + DIRENT.namelen, name.byteLength, true);
    view.setUint32(base + DIRENT.type, (mode >> FORMAT_SHIFT) & FORMAT_MASK, true);
    payload.set(name, base + DIRENT.SIZE);
    payload.fill(0, end, next);
    length = next;
  }
  return length;
}

const DOT = 0x2e;

function isDots(name: string | Uint8Array): boolean {
  if (typeof name === 'string') return name === '.' || name === '..';
  return name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
}
