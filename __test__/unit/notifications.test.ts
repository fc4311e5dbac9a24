/** What no kernel would take is refused before it is sent. */

import test from 'ava';
import { Notifier } from '#ringfuse/notifier.js';

/** Its constructor, which the declarations leave out. */
const Internal = Notifier as unknown as new (native: object, thread: number) => Notifier;

/** A notifier whose kernel knows everything, and what it was sent. */
function notifier() {
  const sent: { readonly code: number; readonly body: Buffer }[] = [];
  const native = {
    notify: async (code: number, body: Uint8Array) => {
      sent.push({ code, body: Buffer.from(body) });
      return 0;
    },
  };
  return { notifier: new Internal(native, 0), sent };
}

const wrongNodes = [-1, 0.5, 2 ** 53, Number.NaN, '1', undefined] as number[];
const wrongNames = [
  '',
  'x'.repeat(256),
  'a/b',
  'a\0b',
  Buffer.alloc(0),
  Buffer.alloc(256, 'x'),
  5,
] as string[];

test('malformed notifications are refused, and none of them is sent', async (t) => {
  const { notifier: notify, sent } = notifier();
  const data = Buffer.from('x');
  const refused: Promise<unknown>[] = [
    ...wrongNodes.flatMap((ino) => [
      notify.poll(ino as unknown as bigint),
      notify.invalInode(ino),
      notify.invalEntry(ino, 'name'),
      notify.expireEntry(ino, 'name'),
      notify.delete(ino, 2, 'name'),
      notify.delete(1, ino, 'name'),
      notify.store(ino, 0, data),
      notify.store(2, ino, data),
      notify.retrieve(ino, 0, 1),
      notify.retrieve(2, ino, 1),
      notify.retrieve(2, 0, ino),
      notify.prune([2, ino]),
    ]),
    ...[0.5, 2 ** 53, -(2 ** 53), Number.NaN, '1'].flatMap((number) => [
      notify.invalInode(2, number as number),
      notify.invalInode(2, 0, number as number),
    ]),
    ...wrongNames.flatMap((name) => [
      notify.invalEntry(1, name),
      notify.expireEntry(1, name),
      notify.delete(1, 2, name),
    ]),
    ...['text', 5, null, [1, 2]].map((wrong) => notify.store(2, 0, wrong as never)),
    notify.retrieve(2, 0, 2 ** 32),
    ...[5, null, 'abc'].map((wrong) => notify.prune(wrong as never)),
  ];
  const results = await Promise.allSettled(refused);
  for (const [index, result] of results.entries()) {
    t.is(result.status, 'rejected', `${index}`);
    if (result.status === 'rejected')
      t.true(result.reason instanceof TypeError, `${index}: ${result.reason}`);
  }
  t.deepEqual(sent, []);
});

test('the smallest and the largest that can be said is said exactly', async (t) => {
  const { notifier: notify, sent } = notifier();
  const name = 'x'.repeat(255);
  await notify.invalEntry(Number.MAX_SAFE_INTEGER, name);
  await notify.invalInode(1, -1, 0);
  await notify.store(1, Number.MAX_SAFE_INTEGER, Buffer.alloc(0));
  await notify.prune([]);
  const [entry, inode, store, prune] = sent.map(({ body }) => body);
  t.is(entry.readBigUInt64LE(0), BigInt(Number.MAX_SAFE_INTEGER));
  t.is(entry.readUInt32LE(8), 255);
  t.is(entry.toString('latin1', 16), `${name}\0`);
  t.deepEqual([inode.readBigInt64LE(8), inode.length], [-1n, 24]);
  t.deepEqual([store.readBigUInt64LE(8), store.readUInt32LE(16), store.length], [2n ** 53n - 1n, 0, 24]);
  t.deepEqual([prune.readUInt32LE(0), prune.length], [0, 16]);
});
