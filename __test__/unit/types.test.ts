/** What must compile and what must not: the compiler is the test, `tsc -b` runs it. */

import test from 'ava';
import {
  type FileLock,
  FuseError,
  type Handlers,
  type Operation,
  type ReadRequest,
  type Reply,
  type Request,
  type WriteRequest,
} from 'ringfuse';

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
const same = <A, B>(verdict: Same<A, B>): void => void verdict;

/** Every `op` narrows, and nothing is left behind the last. */
function nameOf(request: Request): string {
  switch (request.op) {
    case 'read':
      same<typeof request, ReadRequest>(true);
      return `${request.offset} ${request.size}`;
    case 'write':
      same<typeof request, WriteRequest>(true);
      return request.data.toString();
    case 'rename':
    case 'rename2':
      return request.newName;
    case 'getlk':
      same<Reply<'getlk'>, FileLock | null>(true);
      return String(request.lock.end);
    default:
      // @ts-expect-error: not every operation has a name
      void request.name;
      return request.op;
  }
}

/** Exhaustiveness: a switch over two of a union leaves `never`. */
function locks(request: Extract<Request, { op: 'setlk' | 'setlkw' }>): bigint {
  switch (request.op) {
    case 'setlk':
      return request.owner;
    case 'setlkw':
      return request.owner;
    default: {
      const nothing: never = request;
      return nothing;
    }
  }
}

/** One left out does not pass for exhausted. */
function forgetful(request: Extract<Request, { op: 'setlk' | 'setlkw' }>): bigint {
  switch (request.op) {
    case 'setlk':
      return request.owner;
    default: {
      // @ts-expect-error: setlkw is left
      const nothing: never = request;
      return nothing;
    }
  }
}

/** Parameters are inferred; replies may be promises. */
const right: Handlers = {
  lookup: ({ parent, name }) => (name === 'x' ? { ino: parent + 1, attr: { mode: 0o100644 } } : null),
  read: async ({ buffer, offset }) => buffer.fill(offset),
  write: ({ data }) => data.byteLength,
  readdir: function* ({ offset }) {
    yield { name: 'x', ino: 2n, offset: offset + 1 };
  },
  getlk: () => null,
  unlink: () => undefined,
};

const wrong: Handlers = {
  // @ts-expect-error: attributes need a mode
  getattr: () => ({ attr: { size: 1 } }),
  // @ts-expect-error: an entry needs its attributes
  mkdir: () => ({ ino: 2 }),
  // @ts-expect-error: text is no bytes
  read: () => 'text',
  // @ts-expect-error: a count, not the data
  write: ({ data }) => data,
  // @ts-expect-error: the new attributes are in attr
  setattr: ({ size }) => ({ attr: { mode: 0, size } }),
  // @ts-expect-error: a reply without attr
  symlink: ({ parent }) => ({ ino: parent + 1, mode: 0o120777, size: 1 }),
  // @ts-expect-error: a reply of other fields alone
  open: () => ({ handle: 1 }),
  // @ts-expect-error: create opens, but it makes an entry first
  create: () => ({ fh: 1 }),
  // @ts-expect-error: nothing is null here
  statfs: () => null,
  // @ts-expect-error: an entry of a listing needs its offset
  readdir: () => [{ name: 'x', ino: 2 }],
  // @ts-expect-error: a list of names
  listxattr: () => [1, 2],
};

const unknown: Handlers = {
  // @ts-expect-error: there is no such operation
  chmod: () => undefined,
};

/** What a handler declares to return may have no other fields; nor may what `reply` is given. */
const declared: Handlers = {
  // @ts-expect-error: it is openFlags
  open: (): Reply<'open'> => ({ fh: 1, flags: 2 }),
  lookup(request) {
    // @ts-expect-error: it is entryTimeout
    request.reply({ ino: 2, attr: { mode: 0o100644 }, ttl: 1 });
    return null;
  },
};

function replies(request: ReadRequest): void {
  request.reply(Buffer.alloc(1));
  request.reply(Promise.resolve(1));
  // @ts-expect-error: bytes or their number
  request.reply({ bytes: 1 });
  request.fail('ENOENT');
  // @ts-expect-error: there is no such errno
  request.fail('ENOENTT');
  // @ts-expect-error: nor an error of that name
  void new FuseError('ENOENTT');
  void new FuseError('ENOENT');
  // @ts-expect-error: fields are the kernel's
  request.offset = 1;
}

test('the types of requests and replies compile, and what they forbid does not', (t) => {
  const operation: Operation = 'lookup';
  t.truthy([nameOf, locks, forgetful, right, wrong, unknown, declared, replies, operation]);
});
