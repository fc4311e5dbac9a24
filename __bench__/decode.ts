/**
 * `node build/__bench__/decode.js`: what a request costs in JavaScript, by operation: making its object from the
 * slot, reading its fields, and encoding the reply. The slot is memory of this process, and no kernel is asked.
 */

import type { Channel } from '#ringfuse/channel.js';
import {
  CREATE_IN,
  GETATTR_IN,
  IN_HEADER,
  OPCODE,
  OPEN_IN,
  READ_IN,
  SETATTR_IN,
  SLOT_RECORD,
  URING_REQ_HEADER,
  WRITE_IN,
} from '#ringfuse/generated/layout.js';
import { Wide } from '#ringfuse/numbers.js';
import { NodeTypes } from '#ringfuse/replies/types.js';
import { makeRequest, type Request, type Requests } from '#ringfuse/requests/index.js';
import { ARGUMENTS, Slot } from '#ringfuse/slot.js';

const NAME = Buffer.from('a-name-of-some-length');
const attr = { mode: 0o100644, nlink: 1, size: 2 ** 30 };
const entry = { ino: 3, attr };
const contents = Buffer.alloc(4096, 0xa5);
const listing = Array.from({ length: 85 }, (_, index) => ({
  ...entry,
  name: NAME.toString(),
  offset: index + 1,
}));

/** What a request is made with, and how it is answered: the result keeps what was read from being left out. */
interface Case<Op extends keyof Requests> {
  readonly op: Op;
  /** Fields of the argument struct, by their offsets, as 32-bit words. */
  readonly words?: Readonly<Record<number, number>>;
  readonly names?: 0 | 1 | 2;
  readonly data?: number;
  readonly read: (request: Requests[Op]) => unknown;
  readonly answer: (request: Requests[Op]) => void;
}

const one = <Op extends keyof Requests>(wanted: Case<Op>): Case<Op> => wanted;

const cases = [
  one({
    op: 'getattr',
    words: { [GETATTR_IN.fh]: 0 },
    read: ({ ino }) => ino,
    answer: (r) => r.reply({ attr }),
  }),
  one({
    op: 'lookup',
    names: 1,
    read: ({ parent, name }) => parent + name.length,
    answer: (r) => r.reply(entry),
  }),
  one({
    op: 'open',
    words: { [OPEN_IN.flags]: 0 },
    read: ({ flags }) => flags,
    answer: (r) => r.reply(undefined),
  }),
  one({
    op: 'read',
    words: { [READ_IN.size]: 4096 },
    read: ({ ino, offset, size }) => ino + offset + size,
    answer: (r) => r.reply(contents),
  }),
  one({
    op: 'write',
    words: { [WRITE_IN.size]: 4096 },
    data: 4096,
    read: ({ ino, offset, data }) => ino + offset + data.length,
    answer: (r) => r.reply(4096),
  }),
  one({
    op: 'create',
    words: { [CREATE_IN.mode]: 0o100644 },
    names: 1,
    read: ({ parent, name, mode }) => parent + name.length + mode,
    answer: (r) => r.reply(entry),
  }),
  one({ op: 'unlink', names: 1, read: ({ name }) => name.length, answer: (r) => r.reply(undefined) }),
  one({
    op: 'rename2',
    names: 2,
    read: ({ name, newName }) => name.length + newName.length,
    answer: (r) => r.reply(undefined),
  }),
  one({
    op: 'setattr',
    words: { [SETATTR_IN.valid]: 8 },
    read: (request) => request.attr.size,
    answer: (r) => r.reply({ attr }),
  }),
  one({
    op: 'readdir',
    words: { [READ_IN.size]: 4096 },
    read: ({ ino, offset }) => ino + offset,
    answer: (r) => r.reply(listing),
  }),
  one({
    op: 'readdirplus',
    words: { [READ_IN.size]: 4096 },
    read: ({ ino, offset }) => ino + offset,
    answer: (r) => r.reply(listing),
  }),
] as const;

/** As much of a channel as a request meets. */
const channel = {
  defaults: { entryTimeout: 1, attrTimeout: 1, openFlags: 0, passthrough: false },
  types: new NodeTypes(0, true),
  wide: new Wide(Wide.memory(false)),
  checking: undefined,
  answered() {},
  report(error: unknown) {
    throw error;
  },
} as unknown as Channel;

const RECORD = URING_REQ_HEADER.SIZE;

function makeSlot({ op, words = {}, names = 0, data = 0 }: Case<keyof Requests>): Slot {
  const header = new DataView(new ArrayBuffer(512));
  const payload = Buffer.alloc(1 << 20);
  const opcode = OPCODE[op.toUpperCase() as keyof typeof OPCODE];
  header.setUint32(IN_HEADER.opcode, opcode, true);
  header.setUint32(IN_HEADER.nodeid, 2, true);
  header.setUint32(RECORD + SLOT_RECORD.opcode, opcode, true);
  for (const [offset, value] of Object.entries(words))
    header.setUint32(ARGUMENTS + Number(offset), value, true);
  const fields = [
    [SLOT_RECORD.name_offset, SLOT_RECORD.name_length],
    [SLOT_RECORD.name2_offset, SLOT_RECORD.name2_length],
  ];
  let end = 0;
  for (const [offset, length] of fields.slice(0, names)) {
    header.setUint32(RECORD + offset, end, true);
    header.setUint32(RECORD + length, NAME.length, true);
    NAME.copy(payload, end);
    end += NAME.length + 1;
  }
  header.setUint32(RECORD + SLOT_RECORD.data_offset, end, true);
  header.setUint32(RECORD + SLOT_RECORD.data_length, data, true);
  return new Slot(channel, 0, header, payload);
}

const SAMPLES = 15;
const SAMPLE_MILLISECONDS = 20;

/** The median of the mean times of many calls, in nanoseconds. */
function time(body: () => void): number {
  let calls = 64;
  const run = () => {
    const begin = performance.now();
    for (let call = 0; call < calls; call += 1) body();
    return performance.now() - begin;
  };
  while (run() < SAMPLE_MILLISECONDS) calls *= 2;
  const times = Array.from({ length: SAMPLES }, () => (run() / calls) * 1e6);
  return median(times);
}

/** Few enough that no collection comes between. */
const ALLOCATION_CALLS = 500;

/** Bytes of the heap that a call leaves to be collected; needs `--expose-gc`. */
function allocation(body: () => void): number {
  const results = Array.from({ length: SAMPLES }, () => {
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    for (let call = 0; call < ALLOCATION_CALLS; call += 1) body();
    return (process.memoryUsage().heapUsed - before) / ALLOCATION_CALLS;
  });
  return median(results);
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1];

let sink: unknown;
const nanoseconds = (value: number) => Math.round(value);
for (const wanted of cases as readonly Case<keyof Requests>[]) {
  const slot = makeSlot(wanted);
  // The reply is written over the names.
  const names = Buffer.from(slot.payload.subarray(0, 64));
  const decode = () => {
    const request = makeRequest(slot) as Requests[keyof Requests];
    sink = wanted.read(request as never);
  };
  const whole = () => {
    names.copy(slot.payload);
    const request = makeRequest(slot) as Request;
    sink = wanted.read(request as never);
    wanted.answer(request as never);
  };
  const results = {
    'decode ns': time(decode),
    'decode + reply ns': time(whole),
    'bytes a request': allocation(whole),
  };
  const columns = Object.entries(results).map(([label, value]) => `${label} ${nanoseconds(value)}`);
  console.log(`${wanted.op.padEnd(12)} ${columns.join('   ')}`);
}
if (sink === undefined) throw new Error('nothing was read');
