import { lengthOf } from './bytes.ts';
import type { Channel } from './channel.ts';
import {
  BATCH_FORGET_IN,
  FORGET_IN,
  FORGET_ONE,
  IN_HEADER,
  OPCODE,
  SLOT_RECORD,
  URING_REQ_HEADER,
} from './generated/layout.ts';
import { decodeRange } from './names.ts';
import { readU64 } from './numbers.ts';
import type { FuseRequest } from './request.ts';
import type { Forget } from './requests/nodes.ts';

/** The deadline of a request that has none. */
export const NO_DEADLINE: number = Number.POSITIVE_INFINITY;

/** Where the operation's argument struct begins in a slot's header block. */
export const ARGUMENTS: number = URING_REQ_HEADER.op_in;

const RECORD: number = URING_REQ_HEADER.SIZE;
const NAME_OFFSET = [RECORD + SLOT_RECORD.name_offset, RECORD + SLOT_RECORD.name2_offset] as const;
const NAME_LENGTH = [RECORD + SLOT_RECORD.name_length, RECORD + SLOT_RECORD.name2_length] as const;

/** `RecordFlags::SETXATTR_EXT` of `crates/ringfuse/src/slot.rs`. */
const SETXATTR_EXT = 2;

/**
 * A request's place from its arrival to its reply: the kernel's own transfer memory. The native side has
 * validated what is read here, and left a record of where it lies.
 */
export class Slot {
  readonly index: number;
  readonly channel: Channel;
  /** The header block: request header, argument struct, record. */
  readonly header: DataView;
  /** The payload: names and data of the request, then the reply. */
  readonly payload: Buffer;
  /** The same bytes as {@link Slot.payload}. */
  readonly view: DataView;
  /** The request that holds the slot. */
  request: FuseRequest<unknown> | undefined;
  /** When the request is to be answered by, as `performance.now()`. */
  deadline: number;
  /** What the handler was shown of the payload, where that is memory of its own. */
  lent: Buffer | undefined;
  /** Whether a reply is being read and written into the payload. */
  encoding: boolean;

  constructor(channel: Channel, index: number, header: DataView, payload: Buffer) {
    this.channel = channel;
    this.index = index;
    this.header = header;
    this.payload = payload;
    this.view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    this.request = undefined;
    this.deadline = NO_DEADLINE;
    this.lent = undefined;
    this.encoding = false;
  }

  get opcode(): number {
    return this.header.getUint32(RECORD + SLOT_RECORD.opcode, true);
  }

  /** Whether the argument struct of SETXATTR has `setxattr_flags`: what is there otherwise is another request's. */
  get hasSetxattrFlags(): boolean {
    return (this.header.getUint32(RECORD + SLOT_RECORD.flags, true) & SETXATTR_EXT) !== 0;
  }

  /** The node that the request is about: of an entry, the directory. */
  get nodeid(): number {
    return readU64(this.header, IN_HEADER.nodeid);
  }

  get unique(): bigint {
    return this.header.getBigUint64(IN_HEADER.unique, true);
  }

  /** The first (0) or second (1) name. */
  name(which: 0 | 1): string {
    const start = this.header.getUint32(NAME_OFFSET[which], true);
    return decodeRange(this.payload, start, start + this.header.getUint32(NAME_LENGTH[which], true));
  }

  /** A copy of the first (0) or second (1) name. */
  nameBytes(which: 0 | 1): Buffer {
    const start = this.header.getUint32(NAME_OFFSET[which], true);
    return Buffer.from(this.payload.subarray(start, start + this.header.getUint32(NAME_LENGTH[which], true)));
  }

  /** The request's data, in place. */
  data(): Buffer {
    const start = this.header.getUint32(RECORD + SLOT_RECORD.data_offset, true);
    return this.payload.subarray(
      start,
      start + this.header.getUint32(RECORD + SLOT_RECORD.data_length, true),
    );
  }

  /** The request's data, for its handler to see. */
  lendData(): Buffer {
    const data = this.data();
    if (!this.#lendsCopies) return data;
    if (this.lent === undefined) this.#lendRoom(data.length).set(data);
    return this.lent as Buffer;
  }

  /** `size` bytes for the handler to put its reply into, with anything in them. */
  lendRoom(size: number): Buffer {
    if (!this.#lendsCopies) return this.payload.subarray(0, size);
    return this.lent ?? this.#lendRoom(size);
  }

  /**
   * Whether a handler is to see memory of its own. With a deadline it may be at work on it, in a system call even,
   * when the slot has been answered and holds another request.
   */
  get #lendsCopies(): boolean {
    return this.deadline !== NO_DEADLINE || this.channel.checking !== undefined;
  }

  #lendRoom(size: number): Buffer {
    this.lent = Buffer.allocUnsafeSlow(size);
    return this.lent;
  }

  /** The request is over: what its handler was lent is not the slot's any more. */
  takeBack(request: FuseRequest<unknown>): void {
    const { lent } = this;
    if (lent === undefined) return;
    this.lent = undefined;
    this.channel.checking?.spend(lent, request);
  }

  /** Whether JavaScript has transferred the payload's memory away: nothing can be read or written any more. */
  get detached(): boolean {
    return lengthOf(this.payload) === 0;
  }

  /** What follows names and data: security contexts, groups. */
  extensions(): Buffer {
    const start = this.header.getUint32(RECORD + SLOT_RECORD.extensions_offset, true);
    return this.payload.subarray(
      start,
      start + this.header.getUint32(RECORD + SLOT_RECORD.extensions_length, true),
    );
  }

  /** What a FORGET or BATCH_FORGET takes back. */
  forgets(): Forget[] {
    const { header, view } = this;
    if (this.opcode === OPCODE.FORGET) {
      return [
        {
          ino: readU64(header, IN_HEADER.nodeid),
          nlookup: readU64(header, ARGUMENTS + FORGET_IN.nlookup),
        },
      ];
    }
    const start = header.getUint32(RECORD + SLOT_RECORD.data_offset, true);
    const count = header.getUint32(ARGUMENTS + BATCH_FORGET_IN.count, true);
    return Array.from({ length: count }, (_, index) => {
      const at = start + index * FORGET_ONE.SIZE;
      return {
        ino: readU64(view, at + FORGET_ONE.nodeid),
        nlookup: readU64(view, at + FORGET_ONE.nlookup),
      };
    });
  }
}
