/** Values that lie, throw when they are read, or change while they are: what handlers throw and reply with. */

import type { ExecutionContext } from 'ava';
import type { Request } from 'ringfuse';
import { ANSWERED, type Fault, type FaultWatch, faultTest } from '../support/faults.ts';
import { BYTES, CALLED, type Called, type Hostile, hostile } from '../support/hostile.ts';
import { noPython } from '../support/python.ts';

const fault = (name: string, caller: string): Fault => ({
  kind: 'handler',
  name,
  callers: [caller],
  within: 5000,
  left: 'the mount',
});

const boom = (): never => {
  throw new Error('do not read this');
};

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** Any property that is read throws. */
const untouchable = (target: object): object =>
  new Proxy(target, {
    get: boom,
    has: boom,
    getPrototypeOf: boom,
    ownKeys: boom,
    getOwnPropertyDescriptor: boom,
  });

/** What handlers throw, and reject with: none has an errno that can be read. */
const thrown: Readonly<Record<string, () => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  'a number': () => -5,
  'a bigint': () => 5n,
  'a symbol': () => Symbol('private'),
  'a string': () => 'ENOENT',
  'a function': () => boom,
  'an object without a prototype': () => Object.create(null),
  'an error whose code cannot be read': () => Object.defineProperty(new Error('x'), 'code', { get: boom }),
  'an error whose message, name and stack cannot be read': () =>
    Object.defineProperties(new Error('x'), {
      message: { get: boom },
      name: { get: boom },
      stack: { get: boom },
    }),
  'an error whose code is the name of an inherited property': () =>
    Object.assign(new Error('x'), { code: 'constructor' }),
  'an error whose errno is no errno': () => Object.assign(new Error('x'), { errno: 1e9 }),
  'an object that cannot be made a string': () => ({ toString: boom, [Symbol.toPrimitive]: boom }),
  'a proxy whose traps throw': () => untouchable(new Error('x')),
  'a revoked proxy': () => revoked(new Error('x')),
};

/** The honest results, of the same calls before and after. */
async function nextIsRight(t: ExecutionContext, mount: Hostile, op: Called, before: unknown): Promise<void> {
  t.deepEqual(await mount.call(op), before, `${op}: the next request`);
}

async function everywhere(
  t: ExecutionContext,
  watch: FaultWatch,
  mount: Hostile,
  ops: readonly Called[],
  act: (request: Request) => unknown,
): Promise<void> {
  for (const op of ops) {
    const before = await mount.call(op);
    t.is(before.code, undefined, op);
    watch.begin();
    const called = mount.call(op, act);
    await watch.see(called);
    await nextIsRight(t, mount, op, before);
  }
}

for (const [name, make] of Object.entries(thrown)) {
  faultTest(
    fault(`a handler throws, or its promise rejects with, ${name}`, 'EIO'),
    async (t, transport, watch) => {
      const mount = await hostile(t, transport);
      const ways: ((request: Request) => unknown)[] = [
        () => {
          throw make();
        },
        () => Promise.reject(make()),
        async () => {
          await null;
          throw make();
        },
      ];
      for (const act of ways) await everywhere(t, watch, mount, CALLED, act);
      t.true(mount.errors.length >= ways.length * CALLED.length, 'each is reported');
      await watch.left(mount.dir);
    },
    { missing: noPython },
  );
}

/** Replies that may be promises, to each operation; the bytes are right for `read`. */
const thenables: Readonly<Record<string, readonly [code: string, make: () => unknown]>> = {
  'a thenable whose then cannot be read': ['EIO', () => Object.defineProperty({}, 'then', { get: boom })],
  // biome-ignore lint/suspicious/noThenProperty: that is what is tested
  'a thenable that throws': ['EIO', () => ({ then: boom })],
  'a thenable that rejects, and then resolves and throws': [
    'EIO',
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      then(resolve: (value: unknown) => void, reject: (error: unknown) => void) {
        reject(new Error('first'));
        resolve(BYTES);
        boom();
      },
    }),
  ],
  'a thenable that resolves twice, rejects and throws': [
    ANSWERED,
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      then(resolve: (value: unknown) => void, reject: (error: unknown) => void) {
        resolve(BYTES);
        resolve('second');
        reject(new Error('third'));
        boom();
      },
    }),
  ],
  'a thenable whose then is there once': [
    ANSWERED,
    () => {
      let reads = 0;
      return Object.defineProperty({}, 'then', {
        get: () => (reads++ === 0 ? (resolve: (value: unknown) => void) => resolve(BYTES) : boom()),
      });
    },
  ],
  'a thenable that resolves with a promise': [
    ANSWERED,
    // biome-ignore lint/suspicious/noThenProperty: that is what is tested
    () => ({ then: (resolve: (value: unknown) => void) => resolve(Promise.resolve(BYTES)) }),
  ],
  'a promise whose constructor cannot be read': [
    'EIO',
    () => Object.defineProperty(Promise.resolve(BYTES), 'constructor', { get: boom }),
  ],
  'a revoked proxy': ['EIO', () => revoked(BYTES)],
  'a proxy whose traps throw': ['EIO', () => untouchable({})],
};

for (const [name, [code, make]] of Object.entries(thenables)) {
  faultTest(
    fault(`a handler replies with ${name}`, code),
    async (t, transport, watch) => {
      const mount = await hostile(t, transport);
      const right = await mount.call('read');
      watch.begin();
      const called = mount.call('read', make);
      await watch.see(called);
      if (code === ANSWERED) t.deepEqual(await called, right);
      await nextIsRight(t, mount, 'read', right);
      t.is(mount.errors.length, code === ANSWERED ? 0 : 1);
      await watch.left(mount.dir);
    },
    { missing: noPython },
  );
}

/** Bytes whose own properties lie, or that change: the operations whose replies are bytes, and what they give. */
const OK = BYTES.toString();
const lying = (bytes: Uint8Array, length: number): Uint8Array =>
  Object.defineProperties(bytes, {
    length: { get: () => length },
    byteLength: { get: () => length },
    byteOffset: { get: () => 1 },
    buffer: { get: boom },
  });

class Subclass extends Uint8Array {
  override get length(): number {
    return 4000;
  }
  override get byteLength(): number {
    return 4000;
  }
  override set(): never {
    return boom();
  }
}

/** `ArrayBuffer.prototype.transfer`, in a form that Node.js 20 has. */
const detach = (bytes: Uint8Array): Uint8Array => {
  structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
  return bytes;
};

/** What Node.js 20 has, and its types have not. */
type Resizable = ArrayBuffer & { resize(length: number): void };
const resizable = (length: number, most: number): Resizable =>
  new (ArrayBuffer as unknown as new (length: number, options: object) => Resizable)(length, {
    maxByteLength: most,
  });

const copied = (buffer: ArrayBuffer | SharedArrayBuffer): Uint8Array => {
  const bytes = new Uint8Array(buffer);
  bytes.set(BYTES);
  return bytes;
};

const bytes: Readonly<Record<string, readonly [result: string | undefined, make: () => unknown]>> = {
  'a Uint8Array whose properties lie': [OK, () => lying(Uint8Array.from(BYTES), 4000)],
  'a Uint8Array whose properties say that it is empty': [OK, () => lying(Uint8Array.from(BYTES), 0)],
  'a Uint8Array of a class that lies': [OK, () => Subclass.from(BYTES)],
  'a Uint8Array with another prototype': [
    OK,
    () => Object.setPrototypeOf(Uint8Array.from(BYTES), { byteLength: 4000, length: 4000 }),
  ],
  'bytes of a resizable buffer that shrank': [
    OK.slice(0, 4),
    () => {
      const buffer = resizable(BYTES.length, 4096);
      const view = copied(buffer);
      buffer.resize(4);
      return view;
    },
  ],
  'bytes of a resizable buffer that grew': [
    `${OK}\0`,
    () => {
      const buffer = resizable(BYTES.length, 4096);
      const view = copied(buffer);
      buffer.resize(BYTES.length + 1);
      return view;
    },
  ],
  'bytes that lie outside of their buffer, which shrank': [
    undefined,
    () => {
      const buffer = resizable(64, 64);
      const view = new Uint8Array(buffer, 32, 8);
      buffer.resize(16);
      return view;
    },
  ],
  'bytes of shared memory': [OK, () => copied(new SharedArrayBuffer(BYTES.length))],
  'bytes whose memory was transferred away': [undefined, () => detach(Uint8Array.from(BYTES))],
  'a proxy of a Uint8Array': [undefined, () => new Proxy(Uint8Array.from(BYTES), {})],
  'an object with the prototype of Uint8Array': [
    undefined,
    () => lying(Object.create(Uint8Array.prototype) as Uint8Array, 8),
  ],
  'an ArrayBuffer': [undefined, () => new ArrayBuffer(8)],
  'a DataView': [undefined, () => new DataView(new ArrayBuffer(8))],
  'a Uint16Array': [undefined, () => new Uint16Array(8)],
};

/** What is no name with a NUL in it. */
const nameOf = (bytes: string): string | undefined => (bytes.includes('\0') ? undefined : bytes);

/** Where an operation's reply has its bytes, and what a caller then reads. */
const places: readonly {
  readonly op: Called;
  readonly reply: (bytes: unknown) => unknown;
  readonly result: (bytes: string) => unknown;
}[] = [
  { op: 'read', reply: (value) => value, result: (value) => value },
  { op: 'getxattr', reply: (value) => value, result: (value) => value },
  { op: 'readlink', reply: (value) => value, result: nameOf },
  {
    op: 'readdir',
    reply: (value) => [{ name: value, ino: 3, offset: 1 }],
    result: (value) => nameOf(value) && [value],
  },
];

for (const [name, [result, make]] of Object.entries(bytes)) {
  faultTest(
    fault(`a handler replies with ${name}`, result === undefined ? 'EIO' : ANSWERED),
    async (t, transport, watch) => {
      const mount = await hostile(t, transport);
      for (const { op, reply, result: resultOf } of places) {
        const right = await mount.call(op);
        const expected = result === undefined ? undefined : resultOf(result);
        if (result !== undefined && expected === undefined) continue;
        watch.begin();
        let calls = 0;
        // A listing goes on until it is empty.
        const act = (): unknown => (op === 'readdir' && calls++ > 0 ? [] : reply(make()));
        const called = mount.call(op, act);
        await watch.see(called);
        if (expected !== undefined) t.deepEqual((await called).result, expected, op);
        await nextIsRight(t, mount, op, right);
      }
      await watch.left(mount.dir);
    },
    { missing: noPython },
  );
}

/** Replies that answer the request themselves while they are read. */
faultTest(
  fault('a handler replies with an object that replies when it is read', ANSWERED),
  async (t, transport, watch) => {
    const mount = await hostile(t, transport);
    const right = await mount.call('readdir');
    const refused: unknown[] = [];
    let calls = 0;
    const act = (request: Request): unknown => {
      if (calls++ > 0) return [];
      const answer = (reply: () => void): void => {
        try {
          reply();
        } catch (error) {
          refused.push(error);
        }
      };
      return [
        {
          get name() {
            answer(() => (request as { reply(value: unknown): void } & Request).reply([]));
            answer(() => request.fail('EIO'));
            return 'own';
          },
          ino: 3,
          offset: 1,
        },
      ];
    };
    watch.begin();
    const called = mount.call('readdir', act);
    await watch.see(called);
    t.deepEqual((await called).result, ['own']);
    t.like(refused, {
      length: refused.length,
      0: { code: 'ERR_RINGFUSE_REPLIED' },
      1: { code: 'ERR_RINGFUSE_REPLIED' },
    });
    await nextIsRight(t, mount, 'readdir', right);
    await watch.left(mount.dir);
  },
  { missing: noPython },
);

faultTest(
  fault('a handler replies with names without end to listxattr', 'E2BIG'),
  async (t, transport, watch) => {
    const mount = await hostile(t, transport);
    const right = await mount.call('listxattr');
    watch.begin();
    const names = function* (): Iterable<string> {
      for (;;) yield 'user.a';
    };
    await watch.see(mount.call('listxattr', names));
    await nextIsRight(t, mount, 'listxattr', right);
    await watch.left(mount.dir);
  },
  { missing: noPython },
);

/** What `onError` does that no caller shall notice. */
const onErrors: Readonly<Record<string, () => unknown>> = {
  throws: boom,
  'throws a revoked proxy': () => {
    throw revoked({});
  },
  rejects: () => Promise.reject(new Error('rejected')),
  'rejects with an object without a prototype': () => Promise.reject(Object.create(null)),
  'returns a thenable that throws': () => Object.defineProperty({}, 'then', { get: boom }),
};

for (const [name, onError] of Object.entries(onErrors)) {
  faultTest(
    fault(`onError ${name}`, 'EIO'),
    async (t, transport, watch) => {
      const mount = await hostile(t, transport, { onError: onError as () => void });
      const act = (): never => {
        throw new Error('a bug');
      };
      await everywhere(t, watch, mount, ['lookup', 'read', 'mkdir'], act);
      await watch.left(mount.dir);
    },
    { missing: noPython },
  );
}

faultTest(
  fault('a handler that replied by itself throws, or its promise rejects', ANSWERED),
  async (t, transport, watch) => {
    const mount = await hostile(t, transport);
    const right = await mount.call('write');
    const ways: ((request: Request) => unknown)[] = [
      () => boom(),
      () => Promise.reject(new Error('late')),
      async () => {
        await null;
        throw Object.create(null);
      },
    ];
    for (const way of ways) {
      const act = (request: Request): unknown => {
        (request as unknown as { reply(value: number): void }).reply(3);
        return way(request);
      };
      watch.begin();
      const called = mount.call('write', act);
      await watch.see(called);
      t.deepEqual(await called, right);
      await nextIsRight(t, mount, 'write', right);
    }
    t.is(mount.errors.length, ways.length, 'each is reported');
    await watch.left(mount.dir);
  },
  { missing: noPython },
);
