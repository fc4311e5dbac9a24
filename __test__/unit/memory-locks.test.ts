import test, { type ExecutionContext } from 'ava';
import { F_RDLCK, F_UNLCK, F_WRLCK, type Lock, LockTable } from '#fs/locks.js';
import { Space } from '#fs/space.js';
import { random } from './memory-random.ts';

const lock = (owner: number, type: number, start: number | bigint, end: number | bigint): Lock => ({
  owner: BigInt(owner),
  type,
  start,
  end,
  pid: 100 + owner,
  fh: owner,
});

const never = new AbortController().signal;

/** What each byte is locked with, by owner. */
type Model = Map<bigint, number>[];

function mayLock(model: Model, { owner, type }: Lock, start: number, end: number): boolean {
  return model
    .slice(start, end + 1)
    .every((byte) =>
      [...byte].every(([other, held]) => other === owner || (held === F_RDLCK && type === F_RDLCK)),
    );
}

/** The place of a byte after `first`. */
const at = (first: number, byte: number): number | bigint =>
  first + byte <= Number.MAX_SAFE_INTEGER ? first + byte : BigInt(first) + BigInt(byte);

for (const first of [0, Number.MAX_SAFE_INTEGER - 12]) {
  test(`locks are split, merged and refused as if each byte had one of its own, from ${first} on`, (t) =>
    model(t, first));
}

function model(t: ExecutionContext, first: number): void {
  const { below } = random(t, 7);
  const length = 24;
  for (let round = 0; round < 50; round += 1) {
    const table = new LockTable(new Space(0, 1000));
    const model: Model = Array.from({ length }, () => new Map());
    for (let step = 0; step < 100; step += 1) {
      const start = below(length);
      const end = start + below(length - start);
      const type = [F_RDLCK, F_WRLCK, F_UNLCK][below(3)];
      const wanted = lock(below(3), type, at(first, start), at(first, end));
      const expected = wanted.type === F_UNLCK || mayLock(model, wanted, start, end);
      t.is(table.set(wanted), expected);
      if (expected) {
        for (const byte of model.slice(start, end + 1)) {
          if (wanted.type === F_UNLCK) byte.delete(wanted.owner);
          else byte.set(wanted.owner, wanted.type);
        }
      }
      for (const [index, byte] of model.entries()) {
        const place = at(first, index);
        for (const owner of [0n, 1n, 2n]) {
          const own = table.find({ ...lock(0, F_UNLCK, place, place), owner });
          t.is(own?.type, byte.get(owner));
        }
        const stranger = table.find(lock(9, F_WRLCK, place, place));
        t.is(stranger !== undefined, byte.size > 0);
      }
    }
    for (const owner of [0n, 1n, 2n]) table.release((held) => held.owner === owner);
    t.true(table.isIdle);
  }
}

test('neighbours of one type are one lock, and the rest of one that is cut keeps what it was', (t) => {
  const table = new LockTable(new Space(0, 1000));
  table.set(lock(1, F_WRLCK, 0, 4));
  table.set(lock(1, F_WRLCK, 5, 9));
  t.like(table.find(lock(2, F_RDLCK, 7, 7)), { start: 0, end: 9, pid: 101 });
  table.set(lock(1, F_RDLCK, 3, 6));
  t.like(table.find(lock(2, F_WRLCK, 4, 4)), { start: 3, end: 6, type: F_RDLCK });
  t.is(table.find(lock(2, F_RDLCK, 4, 4)), undefined);
  t.like(table.find(lock(2, F_RDLCK, 0, 9)), { start: 0, end: 2, type: F_WRLCK });
  t.like(table.find(lock(2, F_RDLCK, 5, Infinity)), { start: 7, end: 9, type: F_WRLCK });
  table.set(lock(1, F_UNLCK, 0, Infinity));
  t.true(table.isIdle);
});

test('who waits gets the lock in the order of asking, and readers together', async (t) => {
  const table = new LockTable(new Space(0, 1000));
  table.set(lock(0, F_WRLCK, 0, Infinity));
  const got: number[] = [];
  const wait = (owner: number, type: number): Promise<void> =>
    table.wait(lock(owner, type, 0, 0), never).then(() => void got.push(owner));
  const all = [wait(1, F_RDLCK), wait(2, F_WRLCK), wait(3, F_RDLCK)];
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await settle();
  t.deepEqual(got, []);
  table.set(lock(0, F_UNLCK, 0, Infinity));
  await settle();
  t.deepEqual(got, [1, 3]);
  table.release(({ owner }) => owner === 1n);
  await settle();
  t.deepEqual(got, [1, 3]);
  table.release(({ owner }) => owner === 3n);
  await Promise.all(all);
  t.deepEqual(got, [1, 3, 2]);
});

test('a lock that becomes weaker lets others in', async (t) => {
  const table = new LockTable(new Space(0, 1000));
  table.set(lock(1, F_WRLCK, 0, 9));
  const other = table.wait(lock(2, F_RDLCK, 5, 5), never);
  table.set(lock(1, F_RDLCK, 0, 9));
  await t.notThrowsAsync(other);
});

test('an aborted wait is EINTR, and leaves nothing behind', async (t) => {
  const table = new LockTable(new Space(0, 1000));
  table.set(lock(1, F_WRLCK, 0, 9));
  const abort = new AbortController();
  const waiting = table.wait(lock(2, F_WRLCK, 0, 0), abort.signal);
  t.deepEqual(
    table.waitsOf(2n).map(({ owner }) => owner),
    [2n],
  );
  abort.abort();
  await t.throwsAsync(waiting, { code: 'EINTR' });
  await t.throwsAsync(table.wait(lock(3, F_WRLCK, 0, 0), abort.signal), { code: 'EINTR' });
  table.set(lock(1, F_UNLCK, 0, 9));
  t.true(table.isIdle);
});
