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

/** Where the operation's argument struct begins in a slot's header block. */
export const ARGUMENTS: number = URING_REQ_HEADER.op_in;

const RECORD: number = URING_REQ_HEADER.SIZE;
const NAME_OFFSET = [RECORD + SLOT_RECORD.name_offset, RECORD + SLOT_RECORD.name2_offset] as const;
const NAME_LENGTH = [RECORD + SLOT_RECORD.name_length, RECORD + SLOT_RECORD.name2_length] as const;

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

  constructor(channel: Channel, index: number, header: DataView, payload: Buffer) {
    this.channel = channel;
    this.index = index;
    this.header = header;
    this.payload = payload;
    this.view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    this.request = undefined;
  }

  get opcode(): number {
    return this.header.getUint32(RECORD + SLOT_RECORD.opcode, true);
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
