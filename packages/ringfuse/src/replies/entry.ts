/** `struct fuse_entry_out` and `struct fuse_open_out`. */

import type { CreateReply, EntryReply, NegativeEntryReply, OpenReply } from '../attributes.ts';
import type { Defaults } from '../channel.ts';
import { errnoFrom } from '../errors.ts';
import { ENTRY_OUT, OPEN_OUT } from '../generated/layout.ts';
import { writeU32, writeU64, wrongValue } from '../numbers.ts';
import type { Slot } from '../slot.ts';
import { writeAttr, writeTimeout } from './attributes.ts';

const ENOENT = errnoFrom('ENOENT');

/** Writes the reply to an operation that makes an entry. */
export function writeEntry(slot: Slot, reply: EntryReply): number {
  writeEntryAt(slot.view, 0, reply, slot.channel.defaults);
  return ENTRY_OUT.SIZE;
}

/** Writes the reply to `lookup`; a name that is not there is an errno. */
export function writeLookup(slot: Slot, reply: EntryReply | NegativeEntryReply | null | undefined): number {
  if (reply === null || reply === undefined) return -ENOENT;
  if (reply.ino !== 0) return writeEntry(slot, reply as EntryReply);
  slot.payload.fill(0, 0, ENTRY_OUT.SIZE);
  const { entry_valid, entry_valid_nsec } = ENTRY_OUT;
  writeTimeout(
    slot.view,
    entry_valid,
    entry_valid_nsec,
    reply.entryTimeout ?? slot.channel.defaults.entryTimeout,
    'entryTimeout',
  );
  return ENTRY_OUT.SIZE;
}

/** Writes the reply to `create`. */
export function writeCreate(slot: Slot, reply: CreateReply): number {
  writeEntry(slot, reply);
  return ENTRY_OUT.SIZE + writeOpenAt(slot, ENTRY_OUT.SIZE, reply);
}

/** Writes the reply to `open` and `opendir`. */
export function writeOpen(slot: Slot, reply: OpenReply = {}): number {
  if (typeof reply !== 'object' || reply === null)
    throw wrongValue('value', 'an object with fh, or nothing', reply);
  return writeOpenAt(slot, 0, reply);
}

/** Writes a `struct fuse_entry_out` at `base`. */
export function writeEntryAt(view: DataView, base: number, reply: EntryReply, defaults: Defaults): void {
  if (typeof reply !== 'object' || reply === null)
    throw wrongValue('value', 'an object with ino and attr', reply);
  const {
    ino,
    attr,
    generation = 0,
    entryTimeout = defaults.entryTimeout,
    attrTimeout = defaults.attrTimeout,
  } = reply;
  if (typeof ino !== 'number' || ino < 1) throw wrongValue('ino', 'a safe integer from 1', ino);
  writeU64(view, base + ENTRY_OUT.nodeid, ino, 'ino');
  writeU64(view, base + ENTRY_OUT.generation, generation, 'generation');
  writeTimeout(
    view,
    base + ENTRY_OUT.entry_valid,
    base + ENTRY_OUT.entry_valid_nsec,
    entryTimeout,
    'entryTimeout',
  );
  writeTimeout(
    view,
    base + ENTRY_OUT.attr_valid,
    base + ENTRY_OUT.attr_valid_nsec,
    attrTimeout,
    'attrTimeout',
  );
  writeAttr(view, base + ENTRY_OUT.attr, attr, ino);
}

function writeOpenAt(slot: Slot, base: number, reply: OpenReply): number {
  const { fh = 0, openFlags = slot.channel.defaults.openFlags, backingId = 0 } = reply;
  if (typeof fh !== 'number') throw wrongValue('fh', 'a safe integer from 0', fh);
  writeU64(slot.view, base + OPEN_OUT.fh, fh, 'fh');
  writeU32(slot.view, base + OPEN_OUT.open_flags, openFlags, 'openFlags');
  writeU32(slot.view, base + OPEN_OUT.backing_id, backingId, 'backingId');
  return OPEN_OUT.SIZE;
}
