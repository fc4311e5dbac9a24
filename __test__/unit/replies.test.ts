/** Every operation takes replies of its shape, and no others. */

import { constants } from 'node:fs';
import { inspect } from 'node:util';
import test from 'ava';
import {
  type ErrnoName,
  encodeName,
  FuseError,
  type FuseRequest,
  type Operation,
  operations,
  type ReadRequest,
} from 'ringfuse';
import type { Channel } from '#ringfuse/channel.js';
import {
  DIRENT,
  GETXATTR_IN,
  IN_HEADER,
  OPCODE,
  READ_IN,
  SLOT_RECORD,
  URING_REQ_HEADER,
} from '#ringfuse/generated/layout.js';
import { Wide } from '#ringfuse/numbers.js';
import { NodeTypes } from '#ringfuse/replies/types.js';
import { makeRequest } from '#ringfuse/requests/index.js';
import { Slot } from '#ringfuse/slot.js';

const ROOM = 4096;

/** The node that requests are about. */
const NODE = 7;

/** What an operation's request was answered with. */
interface Answer {
  readonly error: number;
  readonly length: number;
}

/** A request in memory of its own, full of what was `before`, as if the kernel had sent it, and where its answer appears. */
function requestOf(
  op: Operation,
  onError: (request: FuseRequest<unknown>) => void = () => undefined,
  before = 0,
) {
  const answers: Answer[] = [];
  const reported: unknown[] = [];
  const channel = {
    defaults: { entryTimeout: 1, attrTimeout: 1, openFlags: 0, passthrough: true },
    types: new NodeTypes(constants.S_IFDIR, true),
    wide: new Wide(Wide.memory(false)),
    answered: (_slot: Slot, error: number, length: number) => answers.push({ error, length }),
    report: (error: unknown, request: FuseRequest<unknown>) => {
      reported.push(error);
      onError(request);
    },
  };
  const header = new DataView(new ArrayBuffer(512));
  const payload = Buffer.alloc(2 * ROOM, before);
  const slot = new Slot(channel as unknown as Channel, 0, header, payload);
  const opcode = OPCODE[op.toUpperCase() as keyof typeof OPCODE];
  header.setUint32(URING_REQ_HEADER.SIZE + SLOT_RECORD.opcode, opcode, true);
  header.setUint32(IN_HEADER.nodeid, NODE, true);
  // `size` of what is asked for: at the same place in all of these.
  if (op.startsWith('read')) header.setUint32(URING_REQ_HEADER.op_in + READ_IN.size, ROOM, true);
  if (op === 'write') header.setUint32(URING_REQ_HEADER.op_in + READ_IN.size, ROOM, true);
  if (op.endsWith('xattr')) header.setUint32(URING_REQ_HEADER.op_in + GETXATTR_IN.size, ROOM, true);
  if (op === 'copy_file_range') header.setBigUint64(URING_REQ_HEADER.op_in + 40, BigInt(ROOM), true);
  const request = makeRequest(slot);
  if (request === undefined) throw new Error(`there is no ${op}`);
  return { request: request as FuseRequest<unknown>, answers, reported, payload };
}

const attr = { mode: 0o100644 };
const entry = { ino: 2, attr };

/** Values with the field that the error names. */
type Wrong = readonly (readonly [value: unknown, field: RegExp])[];

const wrongAttributes: Wrong = [
  [{ attr: undefined }, /attr must be an object/],
  [{ attr: {} }, /attr\.mode/],
  [{ attr: { mode: '0644' } }, /attr\.mode/],
  [{ attr: { mode: -1 } }, /attr\.mode/],
  [{ attr: { mode: 0o644 } }, /attr\.mode must be a mode with a file type, .*, not 0o644/],
  [{ attr: { ...attr, size: 1n << 63n } }, /attr\.size/],
  [{ attr: { ...attr, size: -1 } }, /attr\.size/],
  [{ attr: { ...attr, size: '1' } }, /attr\.size/],
  [{ attr: { ...attr, size: 0.5 } }, /attr\.size/],
  [{ attr: { ...attr, size: 2 ** 53 } }, /attr\.size/],
  [{ attr: { ...attr, size: 1n << 64n } }, /attr\.size/],
  [{ attr: { ...attr, blocks: -1 } }, /attr\.blocks/],
  [{ attr: { ...attr, nlink: 0.5 } }, /attr\.nlink/],
  [{ attr: { ...attr, uid: -1 } }, /attr\.uid/],
  [{ attr: { ...attr, gid: '0' } }, /attr\.gid/],
  [{ attr: { ...attr, rdev: 2 ** 32 } }, /attr\.rdev/],
  [{ attr: { ...attr, blksize: Number.NaN } }, /attr\.blksize/],
  [{ attr: { ...attr, ino: -1 } }, /attr\.ino/],
  [{ attr: { ...attr, atime: '2020-01-01' } }, /attr\.atime/],
  [{ attr: { ...attr, atime: null } }, /attr\.atime/],
  [{ attr: { ...attr, mtime: { sec: 0, nsec: 1e9 } } }, /attr\.mtime\.nsec/],
  [{ attr: { ...attr, mtime: { sec: 0 } } }, /attr\.mtime\.nsec/],
  [{ attr: { ...attr, ctime: new Date('never') } }, /attr\.ctime/],
  [{ attr, attrTimeout: -1 }, /attrTimeout/],
  [{ attr, attrTimeout: '1' }, /attrTimeout/],
];

const noObject: Wrong = [
  [undefined, /value must be an object/],
  [null, /value must be an object/],
  [7, /value must be an object/],
  ['text', /value must be an object/],
];

const wrongEntries: Wrong = [
  ...wrongAttributes.map(([value, field]) => [{ ino: 2, ...(value as object) }, field] as const),
  [{ attr }, /ino/],
  [{ ino: -1, attr }, /ino/],
  [{ ino: 1n, attr }, /ino/],
  [{ ino: 1, attr }, /ino must be .* .1 is the root/],
  [{ ino: 2 ** 53, attr }, /ino/],
  [{ ...entry, generation: -1 }, /generation/],
  [{ ...entry, entryTimeout: Number.NaN }, /entryTimeout/],
];

const wrongOpens: Wrong = [
  [{ fh: '1' }, /fh/],
  [{ fh: -1 }, /fh/],
  [{ fh: 1n }, /fh/],
  [{ openFlags: 'DIRECT_IO' }, /openFlags/],
  [{ backingId: -1 }, /backingId/],
];

const noCount: Wrong = [
  [undefined, /value must be a number of bytes/],
  ['1', /value must be a number of bytes/],
  [-1, /value must be a number of bytes/],
  [0.5, /value must be a number of bytes/],
  [ROOM + 1, /value must be a number of bytes/],
];

const nothing = {
  right: [undefined],
  wrong: [null, true, 0, {}].map((value) => [value, /value must be nothing/] as const),
};

/** Replies of an operation that makes a node of this type. */
function madeOf(type: number) {
  const retyped = (value: unknown): unknown => {
    const reply = value as { attr?: { mode?: unknown } } | undefined;
    if (reply?.attr?.mode !== attr.mode) return value;
    return { ...reply, attr: { ...reply.attr, mode: type | 0o755 } };
  };
  return {
    right: [retyped(entry)],
    wrong: [
      ...noObject,
      ...wrongEntries.map(([value, field]) => [retyped(value), field] as const),
      [entry, /attr\.mode must be a mode of type/] as const,
    ],
  };
}

const shapes: { readonly [Op in Operation]: { readonly right: readonly unknown[]; readonly wrong: Wrong } } =
  {
    lookup: {
      right: [entry, null, undefined, { ino: 0, entryTimeout: 5 }],
      wrong: [
        ...wrongEntries.filter(([value]) => (value as { ino?: unknown }).ino !== undefined),
        [7, /value must be an object/],
        [{ ino: 0, entryTimeout: -1 }, /entryTimeout/],
        [{ ino: 0, attr }, /ino/],
      ],
    },
    forget: nothing,
    getattr: {
      right: [{ attr }, { attr: { ...attr, size: 1n << 62n, mtime: 1n, atime: -1.5, ctime: new Date(0) } }],
      wrong: [...noObject, ...wrongAttributes],
    },
    statx: {
      right: [{ attr: { ...attr, birthtime: { sec: 1, nsec: 2 } } }],
      wrong: [
        ...noObject,
        ...wrongAttributes,
        [{ attr: { ...attr, birthtime: 'then' } }, /attr\.birthtime/],
        [{ attr: { ...attr, attributes: -1 } }, /attr\.attributes/],
      ],
    },
    setattr: { right: [{ attr }], wrong: [...noObject, ...wrongAttributes] },
    readlink: {
      right: ['target', Buffer.from('target')],
      wrong: [
        [undefined, /value must be a string or a Uint8Array/],
        [7, /value must be a string or a Uint8Array/],
        ['', /value must be 1 to 4095 bytes/],
        ['x'.repeat(4096), /value must be 1 to 4095 bytes/],
      ],
    },
    symlink: madeOf(constants.S_IFLNK),
    mknod: { right: [entry], wrong: [...noObject, ...wrongEntries] },
    mkdir: madeOf(constants.S_IFDIR),
    link: { right: [entry], wrong: [...noObject, ...wrongEntries] },
    unlink: nothing,
    rmdir: nothing,
    rename: nothing,
    rename2: nothing,
    open: {
      right: [undefined, {}, { fh: 1, openFlags: 2 }],
      wrong: [...wrongOpens, [7, /value must be an object/], [null, /value must be an object/]],
    },
    opendir: {
      right: [undefined, { fh: 1 }],
      wrong: [...wrongOpens, [7, /value must be an object/]],
    },
    create: {
      right: [entry, { ...entry, fh: 1 }],
      wrong: [
        ...noObject,
        ...wrongEntries,
        ...wrongOpens.map(([value, field]) => [{ ...entry, ...(value as object) }, field] as const),
      ],
    },
    tmpfile: { right: [{ ...entry, fh: 1 }], wrong: [...noObject, ...wrongEntries] },
    read: {
      right: [0, ROOM, new Uint8Array(7), Buffer.alloc(ROOM)],
      wrong: [
        ...noCount,
        ['text', /value must be a number of bytes or a Uint8Array/],
        [[1, 2], /value must be a number of bytes or a Uint8Array/],
        [new ArrayBuffer(1), /value must be a number of bytes or a Uint8Array/],
        [new Uint8Array(ROOM + 1), /value must be at most 4096 bytes/],
      ],
    },
    write: { right: [0, ROOM], wrong: noCount },
    copy_file_range: { right: [0, ROOM], wrong: noCount },
    statfs: {
      right: [{ blocks: 1, bfree: 0n, bavail: 0, files: 1, ffree: 0 }],
      wrong: [
        ...noObject,
        [{}, /blocks/],
        ...['blocks', 'bfree', 'bavail', 'files', 'ffree', 'bsize', 'frsize', 'namelen'].map(
          (field) =>
            [
              { blocks: 1, bfree: 0, bavail: 0, files: 1, ffree: 0, [field]: -1 },
              new RegExp(`reply: ${field}`),
            ] as const,
        ),
      ],
    },
    release: nothing,
    releasedir: nothing,
    fsync: nothing,
    fsyncdir: nothing,
    syncfs: nothing,
    flush: nothing,
    setxattr: nothing,
    removexattr: nothing,
    getxattr: {
      right: ['value', Buffer.from('value'), '', null],
      wrong: [
        [undefined, /value must be a Uint8Array or a string/],
        [7, /value must be a Uint8Array or a string/],
      ],
    },
    listxattr: {
      right: [['user.a', 'user.b'], [], new Set(['user.a'])],
      wrong: [
        [undefined, /value must be an iterable of names/],
        ['user.a', /value must be an iterable of names/],
        [{}, /value must be an iterable of names/],
        [[7], /name/],
        [[''], /name/],
        [['a\0b'], /name/],
        [Buffer.from('user.a'), /name/],
      ],
    },
    readdir: {
      right: [
        [],
        [{ name: 'a', ino: 2, offset: 1, mode: 0o100644 }],
        new Set([{ name: 'a', ino: 2n, offset: 1 }]),
      ],
      wrong: [
        [undefined, /value must be an iterable of entries/],
        ['a', /value must be an iterable of entries/],
        [{}, /value must be an iterable of entries/],
        [['a'], /entry must be an object/],
        [[null], /entry must be an object/],
        [[{ ino: 2, offset: 1 }], /name/],
        [[{ name: '', ino: 2, offset: 1 }], /name/],
        [[{ name: 'a/b', ino: 2, offset: 1 }], /name/],
        [[{ name: 'a\0b', ino: 2, offset: 1 }], /name/],
        [[{ name: 'x'.repeat(256), ino: 2, offset: 1 }], /name/],
        [[{ name: 'é'.repeat(128), ino: 2, offset: 1 }], /name/],
        [[{ name: 'é/b', ino: 2, offset: 1 }], /name/],
        [[{ name: Buffer.from('a/b'), ino: 2, offset: 1 }], /name/],
        [[{ name: 'a', offset: 1 }], /ino/],
        [[{ name: 'a', ino: 2 }], /offset/],
        [[{ name: 'a', ino: 2, offset: 0 }], /offset/],
        [[{ name: 'a', ino: 2, offset: 1, mode: 'file' }], /mode/],
      ],
    },
    readdirplus: {
      right: [[], [{ ...entry, name: 'a', offset: 1 }], [{ name: 'a', offset: 1, ino: 2, mode: 0o100644 }]],
      wrong: [
        [undefined, /value must be an iterable of entries/],
        [[{ name: 'a', offset: 1, attr }], /ino/],
        [[{ ...entry, offset: 1 }], /name/],
        [[{ ...entry, name: 'a' }], /offset/],
      ],
    },
    access: nothing,
    lseek: {
      right: [0, 1n << 62n],
      wrong: [
        [undefined, /value/],
        [-1, /value/],
        ['0', /value/],
      ],
    },
    fallocate: nothing,
    getlk: {
      right: [
        null,
        { start: 0, end: Number.POSITIVE_INFINITY, type: 1, pid: 7 },
        { start: 1n << 53n, end: (1n << 63n) - 1n, type: 0, pid: 7 },
      ],
      wrong: [
        [undefined, /value must be a lock or null/],
        [{ start: -1, end: 1, type: 0, pid: 0 }, /start/],
        [{ start: 0, end: 'x', type: 0, pid: 0 }, /end/],
        [{ start: 0, end: 1, type: 'F_RDLCK', pid: 0 }, /type/],
        [{ start: 0, end: 1, type: 3, pid: 0 }, /type must be F_RDLCK, F_WRLCK or F_UNLCK, not 3/],
        [{ start: 2, end: 1, type: 0, pid: 0 }, /end must be a byte from 2/],
        [{ start: 0n, end: 1n << 63n, type: 0, pid: 0 }, /end must be at most/],
        [{ start: 0, end: 1, type: 0 }, /pid/],
      ],
    },
    setlk: nothing,
    setlkw: nothing,
    bmap: {
      right: [7],
      wrong: [
        [undefined, /value/],
        [-1, /value/],
      ],
    },
    ioctl: {
      right: [undefined, {}, { result: -1 }],
      wrong: [
        [null, /value must be an object/],
        [7, /value must be an object/],
        [{ result: 0.5 }, /result/],
        [{ data: 'text' }, /data/],
        [{ data: new Uint8Array(1) }, /data must be at most 0 bytes/],
      ],
    },
    poll: {
      right: [0],
      wrong: [
        [undefined, /value/],
        [-1, /value/],
      ],
    },
    destroy: nothing,
  };

for (const op of operations) {
  const { right, wrong } = shapes[op];

  test(`${op} takes a reply of its shape, once`, (t) => {
    for (const value of right) {
      const { request, answers } = requestOf(op);
      t.is(request.op, op);
      request.reply(value);
      t.true(request.replied);
      t.is(answers.length, 1);
      t.throws(() => request.reply(value), { code: 'ERR_RINGFUSE_REPLIED' });
      t.throws(() => request.fail('EIO'), { code: 'ERR_RINGFUSE_REPLIED' });
      t.throws(() => request.fail(new Error('late')), { code: 'ERR_RINGFUSE_REPLIED' });
      t.is(answers.length, 1);
    }
  });

  test(`${op} refuses other replies by a TypeError that names the field, and can still be answered`, (t) => {
    const { request, answers } = requestOf(op);
    for (const [value, field] of wrong) {
      const error = t.throws(() => request.reply(value), { instanceOf: TypeError }, inspect(value));
      t.regex(error.message, field);
      t.true(error.message.startsWith(`${op} reply: `), error.message);
    }
    t.false(request.replied);
    t.deepEqual(answers, []);
    request.reply(right[0]);
    t.is(answers.length, 1);
  });
}

/** Replies whose lengths and paddings differ, beside those above. */
const more: { readonly [op in Operation]?: readonly unknown[] } = {
  readdir: Array.from({ length: 17 }, (_, length) => [
    { name: 'n'.repeat(length + 1), ino: 2, offset: 1 },
    { name: 'last', ino: 3, offset: 2, mode: 0o40755 },
  ]),
  readdirplus: Array.from({ length: 17 }, (_, length) => [
    { ...entry, name: 'n'.repeat(length + 1), offset: 1 },
    { ...entry, name: 'last', offset: 2 },
  ]),
  getxattr: Array.from({ length: 9 }, (_, length) => Buffer.alloc(length, 'v')),
  listxattr: Array.from({ length: 9 }, (_, length) => [`user.${'n'.repeat(length + 1)}`, 'user.last']),
  lookup: [null, { ...entry, generation: 7, entryTimeout: 0.5 }],
  getlk: [null, { start: 7, end: 9, type: 0, pid: 1 }],
  statx: [{ attr: { ...attr, btime: new Date(0) } }],
};

/** What a reply puts into memory that held `before` only. */
function repliedOver(before: number, op: Operation, value: unknown): Buffer {
  const { request, answers, payload } = requestOf(op, () => undefined, before);
  request.reply(value);
  return payload.subarray(0, answers[0].length);
}

for (const op of operations) {
  test(`${op} replies what it was given, and no byte of what was there before`, (t) => {
    for (const value of [...shapes[op].right, ...(more[op] ?? [])]) {
      const reply = repliedOver(0x53, op, value);
      t.true(reply.equals(repliedOver(0xac, op, value)), inspect(value));
    }
  });
}

test('a read that fills a part of its buffer replies zeros for the rest, however it ends', (t) => {
  const fillHalf = (before: number, end: (request: ReadRequest) => void): Buffer => {
    const { request, answers, payload } = requestOf('read', () => undefined, before);
    (request as ReadRequest).buffer.fill('a', 0, ROOM / 2);
    end(request as ReadRequest);
    return Buffer.from(payload.subarray(0, answers[0].length));
  };
  const half = Buffer.concat([Buffer.alloc(ROOM / 2, 'a'), Buffer.alloc(ROOM / 2)]);
  for (const before of [0x53, 0xac]) {
    t.true(fillHalf(before, (request) => request.reply(ROOM)).equals(half));
    t.true(fillHalf(before, (request) => request.reply(request.buffer)).equals(half));
    t.true(
      fillHalf(before, (request) => request.reply(request.buffer.subarray(10))).equals(half.subarray(10)),
    );
    t.is(fillHalf(before, (request) => request.fail('EIO')).length, 0);
    t.is(fillHalf(before, (request) => request.fail(new Error('midway'))).length, 0);
  }
});

test('a listing has its names as they are, and ends before what does not fit', (t) => {
  const names = ['short', 'ä name', Buffer.from([0xff, 0x61]), '\udcffb', '名'.repeat(85), 'n'.repeat(255)];
  const bytes = names.map((name) => (typeof name === 'string' ? encodeName(name) : name));
  const list = Array.from({ length: 60 }, (_, index) => ({
    ino: 2,
    offset: index + 1,
    name: names[index % 6],
  }));
  const reply = repliedOver(0x53, 'readdir', list);
  t.true(reply.equals(repliedOver(0xac, 'readdir', list)));
  let at = 0;
  let count = 0;
  for (; at < reply.length; count += 1) {
    const expected = bytes[count % 6];
    t.is(reply.readUInt32LE(at + DIRENT.namelen), expected.length);
    const end = at + DIRENT.SIZE + expected.length;
    t.true(reply.subarray(at + DIRENT.SIZE, end).equals(expected));
    at = Math.ceil(end / 8) * 8;
  }
  t.is(at, reply.length);
  t.true(count > 18 && at + DIRENT.SIZE + bytes[count % 6].length > ROOM);
});

test('an ioctl replies its bytes and no more', (t) => {
  const reply = (before: number): Buffer => {
    const { request, answers, payload } = requestOf('ioctl', () => undefined, before);
    Object.defineProperty(request, 'outSize', { value: 64 });
    request.reply({ result: 3, data: Buffer.from('some') });
    return payload.subarray(0, answers[0].length);
  };
  t.true(reply(0x53).equals(reply(0xac)));
  t.true(reply(0x53).toString().endsWith('some'));
});

test('a promise answers with what it gives; a promise of a wrong shape is EIO, and reported', async (t) => {
  const good = requestOf('write');
  good.request.reply(Promise.resolve(5));
  t.false(good.request.replied);
  await Promise.resolve();
  t.deepEqual(good.answers, [{ error: 0, length: 8 }]);

  const bad = requestOf('write');
  bad.request.reply(Promise.resolve('five'));
  await Promise.resolve();
  t.deepEqual(bad.answers, [{ error: 5, length: 0 }]);
  t.regex(String(bad.reported[0]), /TypeError: write reply: value must be a number of bytes/);

  const rejected = requestOf('write');
  rejected.request.reply(Promise.reject(Object.assign(new Error(), { code: 'ENOSPC' })));
  await Promise.resolve();
  t.deepEqual(rejected.answers, [{ error: 28, length: 0 }]);
  t.deepEqual(rejected.reported, []);
});

test('while a promise is awaited the request can be failed, and what the promise gives is dropped', async (t) => {
  const { request, answers, reported } = requestOf('write');
  request.reply(Promise.resolve(5));
  request.fail('EINTR');
  await Promise.resolve();
  t.deepEqual(answers, [{ error: 4, length: 0 }]);
  t.deepEqual(reported, []);
});

test('fail takes the name or number of an errno, or an error', (t) => {
  const failures: readonly (readonly [with_: ErrnoName | number | Error, error: number])[] = [
    ['ENOENT', 2],
    [2, 2],
    [-2, 2],
    [new FuseError('ENOENT'), 2],
    [Object.assign(new Error(), { code: 'ENOENT' }), 2],
    [Object.assign(new Error(), { errno: -2 }), 2],
    [Object.assign(new Error(), { code: 'ENOENT', errno: -5 }), 2],
    [Object.assign(new Error(), { code: 'ERR_OTHER', errno: -2 }), 2],
    [Object.assign(new Error(), { code: 'toString' }), 5],
    [Object.assign(new Error(), { errno: 100_000 }), 5],
    [new Error('a bug'), 5],
  ];
  for (const [with_, error] of failures) {
    const { request, answers, reported } = requestOf('unlink');
    request.fail(with_);
    t.deepEqual(answers, [{ error, length: 0 }], String(with_));
    t.is(reported.length, error === 5 ? 1 : 0);
  }
});

test('a FuseError has the code of an errno or of ringfuse, or an errno of its own', (t) => {
  for (const code of ['ENOENTT', 'enoent', '', 'toString', 'ERR_OTHER', undefined, 2]) {
    const error = t.throws(() => new FuseError(code as ErrnoName), { instanceOf: TypeError }, String(code));
    t.regex(error.message, /^FuseError: .* is no errno of this machine/);
  }
  t.is(new FuseError('ERR_RINGFUSE_CLOSED').errno, undefined);
  t.is(new FuseError('errno 117' as ErrnoName, undefined, { errno: -117 }).errno, -117);
});

test('fail refuses what is no errno, and the request can still be answered', (t) => {
  const { request, answers } = requestOf('unlink');
  for (const none of ['ENOSUCH', 'enoent', 'toString', '', 0, 1.5, 100_000, Number.NaN, undefined, true]) {
    t.throws(
      () => request.fail(none as ErrnoName),
      { instanceOf: TypeError, message: /^fail: / },
      String(none),
    );
  }
  t.deepEqual(answers, []);
  request.fail('EPERM');
  t.deepEqual(answers, [{ error: 1, length: 0 }]);
});

test('whoever is told of an error can still look at the request, and choose its errno', (t) => {
  const replied: boolean[] = [];
  const told = requestOf('unlink', (request) => replied.push(request.replied));
  told.request.fail(new Error('a bug'));
  t.deepEqual(replied, [false]);
  t.deepEqual(told.answers, [{ error: 5, length: 0 }]);

  const choosing = requestOf('unlink', (request) => request.fail('EACCES'));
  choosing.request.fail(new Error('a bug'));
  t.deepEqual(choosing.answers, [{ error: 13, length: 0 }]);

  const throwing = requestOf('unlink', () => {
    throw new Error('a bug in onError');
  });
  t.throws(() => throwing.request.fail(new Error('a bug')), { message: 'a bug in onError' });
  t.deepEqual(throwing.answers, [{ error: 5, length: 0 }]);
});

/** Fields of each operation that its type has as getters, and what a log shows of them. */
const getters: { readonly [op in Operation]?: Readonly<Record<string, unknown>> } = {
  lookup: { parent: NODE, name: 'name' },
  getattr: { ino: NODE },
  symlink: { parent: NODE, name: 'name', target: 'other' },
  rename: { parent: NODE, name: 'name', newName: 'other' },
  rename2: { parent: NODE, name: 'name', newName: 'other' },
  link: { newParent: NODE, newName: 'name' },
  write: { ino: NODE, data: 5, lockOwner: undefined },
  setxattr: { ino: NODE, name: 'name', value: 5 },
  ioctl: { ino: NODE, data: 5, directory: false, arg: '0' },
  readdir: { ino: NODE, offset: 0 },
  readdirplus: { ino: NODE, offset: 0 },
  flush: { ino: NODE, lockOwner: '0' },
  setlk: { ino: NODE, owner: '0' },
  poll: { ino: NODE, kh: '0' },
};

for (const op of operations) {
  test(`${op}: a log shows every field, and nothing of the slot, also after the reply`, (t) => {
    const { request, payload } = requestOf(op);
    const slot = (request as unknown as { slot: Slot }).slot;
    payload.write('name\0other\0');
    for (const [field, value] of [
      [SLOT_RECORD.name_offset, 0],
      [SLOT_RECORD.name_length, 4],
      [SLOT_RECORD.name2_offset, 5],
      [SLOT_RECORD.name2_length, 5],
      [SLOT_RECORD.data_offset, 5],
      [SLOT_RECORD.data_length, 5],
    ])
      slot.header.setUint32(URING_REQ_HEADER.SIZE + field, value, true);
    const show = () => JSON.parse(JSON.stringify(request)) as Record<string, unknown>;
    const shown = show();
    t.is(shown.op, op);
    t.is(shown.uid, 0);
    for (const [name, value] of Object.entries(getters[op] ?? {})) t.deepEqual(shown[name], value, name);
    for (const key of ['slot', 'nodeid', 'controller', 'buffer', 'nameBytes']) t.false(key in shown, key);
    const text = new RegExp(`^${request.constructor.name} \\{\\s+op: '${op}'`);
    t.regex(inspect(request), text);
    t.false(inspect(request).includes('Slot'));
    request.fail('EIO');
    t.is(show().op, op);
    for (const name of Object.keys(getters[op] ?? {})) {
      if (!['data', 'value'].includes(name)) t.deepEqual(show()[name], shown[name], name);
    }
    t.regex(inspect(request), text);
  });
}

test('a lookup of . or .., as an NFS server makes it, may find the node itself and the root', (t) => {
  const directory = { mode: constants.S_IFDIR | 0o755 };
  for (const name of ['.', '..', 'x', '...']) {
    for (const ino of [1, NODE]) {
      const { request, answers, payload } = requestOf('lookup');
      payload.write(name);
      const { header } = (request as unknown as { slot: Slot }).slot;
      header.setUint32(URING_REQ_HEADER.SIZE + SLOT_RECORD.name_length, name.length, true);
      const reply = (): void => request.reply({ ino, attr: directory });
      if (name === '.' || name === '..') reply();
      else t.throws(reply, { instanceOf: TypeError, message: /^lookup reply: ino must be / });
      t.is(answers.length, name.length < 3 && name !== 'x' ? 1 : 0);
    }
  }
});

test('a type is remembered where one thread answers alone', (t) => {
  const alone = new NodeTypes(constants.S_IFDIR, true);
  const oneOfSeveral = new NodeTypes(constants.S_IFDIR, false);
  for (const types of [alone, oneOfSeveral]) {
    t.is(types.get(5), 0);
    types.set(5, constants.S_IFREG | 0o644);
    t.is(types.get(1), constants.S_IFDIR);
  }
  t.is(alone.get(5), constants.S_IFREG);
  t.is(oneOfSeveral.get(5), 0);
  alone.set(5 + 4096, constants.S_IFIFO);
  t.is(alone.get(5), 0);
  alone.set(2 ** 53 - 1, constants.S_IFLNK);
  t.is(alone.get(2 ** 53 - 1), constants.S_IFLNK);
});

test('a request that was never looked at before its reply can be shown after it', (t) => {
  const { request } = requestOf('lookup');
  request.fail('ENOENT');
  t.deepEqual(request.toJSON(), { op: 'lookup', parent: NODE, uid: 0, gid: 0, pid: 0 });
});

test('what setattr is to set is in attr: a field that is looked for on the request says so', (t) => {
  const { request } = requestOf('setattr');
  for (const field of ['mode', 'size', 'atime', 'mtime', 'ctime']) {
    const error = t.throws(() => (request as unknown as Record<string, unknown>)[field], {
      instanceOf: TypeError,
    });
    t.is(
      error.message,
      `setattr: the request has no ${field}: the new attributes are in attr, here attr.${field}`,
    );
  }
});
