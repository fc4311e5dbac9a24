/** Requests on open directories. */

import type { DirectoryEntry, DirectoryEntryPlus, OpenReply } from '../attributes.ts';
import { OPEN_IN, READ_IN } from '../generated/layout.ts';
import { CertainAnswer, isWide, joinU64 } from '../numbers.ts';
import { writeDirectory, writeDirectoryPlus } from '../replies/directory.ts';
import { writeOpen } from '../replies/entry.ts';
import { ARGUMENTS, NodeRequest, readU64 } from '../request.ts';
import type { Slot } from '../slot.ts';

/** Open the directory `ino`. */
export class OpendirRequest extends NodeRequest<OpenReply | undefined> {
  declare readonly op: 'opendir';
  /** `O_*` flags of `open(2)`. */
  readonly flags: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.flags = slot.header.getUint32(ARGUMENTS + OPEN_IN.flags, true);
  }

  /** @internal */
  override encode(reply: OpenReply | undefined): number {
    return writeOpen(this.live(), reply);
  }
}

/** The end of the directory. */
const NOTHING = new CertainAnswer(0);

abstract class ListRequest<Entry> extends NodeRequest<Iterable<Entry>> {
  readonly fh: number;
  /** Bytes that the caller has room for. */
  readonly size: number;
  readonly #low: number;
  readonly #high: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.fh = readU64(slot.header, ARGUMENTS + READ_IN.fh);
    this.#low = slot.header.getUint32(ARGUMENTS + READ_IN.offset, true);
    this.#high = slot.header.getUint32(ARGUMENTS + READ_IN.offset + 4, true);
    // No entry is there if none ever had such an offset: somebody seeked where there is nothing.
    if (isWide(slot.header, ARGUMENTS + READ_IN.offset) && !slot.channel.wide.offsets) throw NOTHING;
    this.size = slot.header.getUint32(ARGUMENTS + READ_IN.size, true);
  }

  /**
   * 0 for a listing from the start, otherwise the `offset` of the entry after which it goes on.
   *
   * @throws RangeError, which is EOVERFLOW for the caller, if it is no safe integer. Only a filesystem that gave entries
   * such offsets is asked with them: see {@link exactOffset}.
   */
  get offset(): number {
    return joinU64(this.#low, this.#high);
  }

  /** For `console.log` and logs: see {@link FuseRequest.toJSON}. */
  override toJSON(): Record<string, unknown> {
    const fields = super.toJSON();
    fields.offset ??= String(this.exactOffset);
    return fields;
  }

  /** The same for a filesystem whose entries may have offsets of 64 bits, as those of the kernel's own have. */
  get exactOffset(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }
}

/**
 * The entries of the directory after `offset`, in an order that does not change. The reply takes entries
 * until the caller's room is full, then ends the iterator; an empty reply is the end of the directory.
 */
export class ReaddirRequest extends ListRequest<DirectoryEntry> {
  declare readonly op: 'readdir';

  /** @internal */
  override encode(reply: Iterable<DirectoryEntry>): number {
    return writeDirectory(this.live(), reply, this.size);
  }
}

/**
 * As `readdir`, with a lookup of each entry (but `.` and `..`). An entry is in the reply, and its lookup
 * counts, when the iterator is asked for the one after it: in a generator, code behind a `yield` runs only
 * for entries that were taken. An entry without `attr`, as `readdir` has them, is listed and not looked up.
 */
export class ReaddirplusRequest extends ListRequest<DirectoryEntryPlus | DirectoryEntry> {
  declare readonly op: 'readdirplus';

  /** @internal */
  override encode(reply: Iterable<DirectoryEntryPlus | DirectoryEntry>): number {
    return writeDirectoryPlus(this.live(), reply, this.size);
  }
}
