/** Requests on the names of a directory: they find, make, move and remove entries. */

import { constants } from 'node:fs';
import type { EntryReply, NegativeEntryReply } from '../attributes.ts';
import { LINK_IN, MKDIR_IN, MKNOD_IN, RENAME_IN, RENAME2_IN } from '../generated/layout.ts';
import { writeEntry, writeLookup } from '../replies/entry.ts';
import { ARGUMENTS, FuseRequest, readU64 } from '../request.ts';
import type { Slot } from '../slot.ts';
import { ChildRequest, CreationRequest } from './creation.ts';

abstract class MakeEntryRequest extends CreationRequest<EntryReply> {
  /** @internal The `S_IF*` bits of what is made. */
  protected abstract madeType(): number;

  /** @internal */
  override encode(reply: EntryReply): number {
    return writeEntry(this.live(), reply, this.nodeid, this.madeType());
  }
}

/** Find `name` in `parent`: `null` (ENOENT) or an entry, which counts one lookup of its `ino`. */
export class LookupRequest extends ChildRequest<EntryReply | NegativeEntryReply | null | undefined> {
  declare readonly op: 'lookup';

  /** @internal */
  override encode(reply: EntryReply | NegativeEntryReply | null | undefined): number {
    return writeLookup(this.live(), reply, this.nodeid);
  }
}

/** Make a file, FIFO, socket or device `name` in `parent`. */
export class MknodRequest extends MakeEntryRequest {
  declare readonly op: 'mknod';
  /** Type and permissions; the caller's umask is already taken off, unless `DONT_MASK` was asked for. */
  readonly mode: number;
  readonly rdev: number;
  readonly umask: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.mode = header.getUint32(ARGUMENTS + MKNOD_IN.mode, true);
    this.rdev = header.getUint32(ARGUMENTS + MKNOD_IN.rdev, true);
    this.umask = header.getUint32(ARGUMENTS + MKNOD_IN.umask, true);
  }

  /** @internal */
  protected override madeType(): number {
    return this.mode & constants.S_IFMT;
  }
}

/** Make a directory `name` in `parent`. */
export class MkdirRequest extends MakeEntryRequest {
  declare readonly op: 'mkdir';
  /** Permissions; the caller's umask is already taken off, unless `DONT_MASK` was asked for. */
  readonly mode: number;
  readonly umask: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.mode = slot.header.getUint32(ARGUMENTS + MKDIR_IN.mode, true);
    this.umask = slot.header.getUint32(ARGUMENTS + MKDIR_IN.umask, true);
  }

  /** @internal */
  protected override madeType(): number {
    return constants.S_IFDIR;
  }
}

/** Make a symbolic link `name` in `parent` that points to `target`. */
export class SymlinkRequest extends MakeEntryRequest {
  declare readonly op: 'symlink';
  private decodedTarget: string | undefined;

  /** What the link says; bytes that are not UTF-8 survive, see {@link decodeName}. */
  get target(): string {
    this.decodedTarget ??= this.live().name(1);
    return this.decodedTarget;
  }

  /** What the link says, as the kernel sent it: a copy. */
  get targetBytes(): Buffer {
    return this.live().nameBytes(1);
  }

  /** @internal */
  protected override madeType(): number {
    return constants.S_IFLNK;
  }
}

/** Remove the entry `name`, not a directory, from `parent`. */
export class UnlinkRequest extends ChildRequest<void> {
  declare readonly op: 'unlink';
}

/** Remove the empty directory `name` from `parent`. */
export class RmdirRequest extends ChildRequest<void> {
  declare readonly op: 'rmdir';
}

abstract class MoveRequest extends ChildRequest<void> {
  /** The directory that the entry moves to. */
  readonly newParent: number;
  private decodedNewName: string | undefined;

  /** @internal */
  constructor(slot: Slot, newParent: number) {
    super(slot);
    this.newParent = newParent;
  }

  /** The entry's name in `newParent`. */
  get newName(): string {
    this.decodedNewName ??= this.live().name(1);
    return this.decodedNewName;
  }

  /** The entry's name in `newParent`, as the kernel sent it: a copy. */
  get newNameBytes(): Buffer {
    return this.live().nameBytes(1);
  }
}

/** Move `name` of `parent` to `newName` of `newParent`, replacing what is there. */
export class RenameRequest extends MoveRequest {
  declare readonly op: 'rename';

  /** @internal */
  constructor(slot: Slot) {
    super(slot, readU64(slot.header, ARGUMENTS + RENAME_IN.newdir));
  }
}

/** As `rename`, with flags: sent only when `flags` is not 0. */
export class Rename2Request extends MoveRequest {
  declare readonly op: 'rename2';
  /** `RENAME_NOREPLACE` (1), `RENAME_EXCHANGE` (2), `RENAME_WHITEOUT` (4), as `renameat2(2)`. */
  readonly flags: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot, readU64(slot.header, ARGUMENTS + RENAME2_IN.newdir));
    this.flags = slot.header.getUint32(ARGUMENTS + RENAME2_IN.flags, true);
  }
}

/** Give the node `ino` a further name: `newName` in `newParent`. */
export class LinkRequest extends FuseRequest<EntryReply> {
  declare readonly op: 'link';
  /** The node that gets the name. */
  readonly ino: number;
  private decodedNewName: string | undefined;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.ino = readU64(slot.header, ARGUMENTS + LINK_IN.oldnodeid);
  }

  /** The directory of the new name. */
  get newParent(): number {
    return this.nodeid;
  }

  /** The new name. */
  get newName(): string {
    this.decodedNewName ??= this.live().name(0);
    return this.decodedNewName;
  }

  /** The new name as the kernel sent it: a copy. */
  get newNameBytes(): Buffer {
    return this.live().nameBytes(0);
  }

  /** @internal */
  override encode(reply: EntryReply): number {
    const slot = this.live();
    return writeEntry(slot, reply, this.nodeid, slot.channel.types.get(this.ino));
  }
}
