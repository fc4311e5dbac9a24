/** `struct fuse_entry_out` and `struct fuse_open_out`. */

import { constants } from 'node:fs';
import type { CreateReply, EntryReply, NegativeEntryReply, OpenReply } from '../attributes.ts';
import { errnoFrom } from '../errors.ts';
import { ENTRY_OUT, FOPEN, OPEN_OUT, ROOT_ID } from '../generated/layout.ts';
import { writeU32, writeU64, wrongValue } from '../numbers.ts';
import type { Slot } from '../slot.ts';
import { writeAttr, writeTimeout } from './attributes.ts';
import { ANY_TYPE } from './types.ts';

const ENOENT = errnoFrom('ENOENT');

/** Flags that Linux (6.18) takes beside `PASSTHROUGH`: with others the caller of `open` gets EIO. */
const BESIDE_PASSTHROUGH: number = FOPEN.DIRECT_IO | FOPEN.PARALLEL_DIRECT_WRITES | FOPEN.NOFLUSH;

/** Writes the reply to an operation that makes an entry of `parent`; of a node of this type, unless `ANY_TYPE`. */
export function writeEntry(slot: Slot, reply: EntryReply, parent: number, type: number): number {
  writeEntryAt(slot, 0, reply, parent, type);
  return ENTRY_OUT.SIZE;
}

/** Writes the reply to `lookup`; a name that is not there is an errno. */
export function writeLookup(
  slot: Slot,
  reply: EntryReply | NegativeEntryReply | null | undefined,
  parent: number,
): number {
  if (reply === null || reply === undefined) return -ENOENT;
  if (reply.ino !== 0) {
    const { ino } = reply;
    // An NFS server looks up the node itself, and its parent, by these names (`EXPORT_SUPPORT`).
    const upwards = (ino === ROOT_ID || ino === parent) && isDots(slot.name(0));
    return writeEntry(slot, reply as EntryReply, upwards ? NO_PARENT : parent, ANY_TYPE);
  }
  if ('attr' in reply && reply.attr !== undefined) throw wrongValue('ino', EXPECTED_INO, 0);
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

/** Writes the reply to `create` and `tmpfile`. */
export function writeCreate(slot: Slot, reply: CreateReply, parent: number): number {
  writeEntry(slot, reply, parent, constants.S_IFREG);
  return ENTRY_OUT.SIZE + writeOpenAt(slot, ENTRY_OUT.SIZE, reply);
}

/** Writes the reply to `open` and `opendir`. */
export function writeOpen(slot: Slot, reply: OpenReply = {}): number {
  if (typeof reply !== 'object' || reply === null)
    throw wrongValue('value', 'an object with fh, or nothing', reply);
  return writeOpenAt(slot, 0, reply);
}

/** The entry is of no directory: its node may be any, also the root. */
export const NO_PARENT = 0;

const EXPECTED_INO = 'a safe integer from 2 (1 is the root)';

/**
 * Writes a `struct fuse_entry_out` at `base`, for an entry of `parent`. `type`: as for {@link writeEntry}.
 *
 * @returns The node's mode.
 */
export function writeEntryAt(
  slot: Slot,
  base: number,
  reply: EntryReply,
  parent: number,
  type: number,
): number {
  if (typeof reply !== 'object' || reply === null)
    throw wrongValue('value', 'an object with ino and attr', reply);
  const { view } = slot;
  const { defaults, types } = slot.channel;
  const {
    ino,
    attr,
    generation = 0,
    entryTimeout = defaults.entryTimeout,
    attrTimeout = defaults.attrTimeout,
  } = reply;
  if (typeof ino !== 'number' || ino <= (parent === NO_PARENT ? 0 : ROOT_ID)) {
    throw wrongValue('ino', EXPECTED_INO, ino);
  }
  if (ino === parent) throw wrongValue('ino', 'another node than the directory that the entry is in', ino);
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
  const mode = writeAttr(slot, base + ENTRY_OUT.attr, attr, ino, type);
  types.set(ino, mode);
  return mode;
}

function writeOpenAt(slot: Slot, base: number, reply: OpenReply): number {
  const { fh = 0, openFlags = slot.channel.defaults.openFlags, backingId = 0 } = reply;
  if (typeof fh !== 'number') throw wrongValue('fh', 'a safe integer from 0', fh);
  if (openFlags & FOPEN.PASSTHROUGH) checkPassthrough(slot, openFlags, backingId);
  writeU64(slot.view, base + OPEN_OUT.fh, fh, 'fh');
  writeU32(slot.view, base + OPEN_OUT.open_flags, openFlags, 'openFlags');
  writeU32(slot.view, base + OPEN_OUT.backing_id, backingId, 'backingId');
  return OPEN_OUT.SIZE;
}

/** Linux answers such an `open` with EIO, and does not say why (`fuse_file_io_open`). */
function checkPassthrough(slot: Slot, openFlags: number, backingId: number): void {
  if (!slot.channel.defaults.passthrough) {
    throw wrongValue('openFlags', 'without PASSTHROUGH on a mount without that capability', openFlags);
  }
  if (openFlags & ~(FOPEN.PASSTHROUGH | BESIDE_PASSTHROUGH)) {
    const others = 'DIRECT_IO, PARALLEL_DIRECT_WRITES and NOFLUSH';
    throw wrongValue('openFlags', `PASSTHROUGH with nothing but ${others}`, openFlags);
  }
  if (backingId === 0) throw wrongValue('backingId', 'the id of a Backing, with PASSTHROUGH', backingId);
}

/** Whether a name is `.` or `..`. */
function isDots(name: string): boolean {
  return name === '.' || name === '..';
}
