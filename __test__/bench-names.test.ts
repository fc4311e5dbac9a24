import { Worker } from 'node:worker_threads';
import test from 'ava';
import { type Names, OwnNames, SharedNames } from '#bench/names.js';

const LAST = 100;

const kinds: readonly [string, () => Names][] = [
  ['of one thread', () => new OwnNames(LAST)],
  ['in shared memory', () => SharedNames.make(LAST)],
];

for (const [kind, make] of kinds) {
  test(`names ${kind} exist from their addition to their removal, and no node returns`, (t) => {
    const names = make();
    t.is(names.get('one'), undefined);
    t.is(names.add('one'), LAST + 1);
    t.is(names.add('one'), undefined);
    t.is(names.get('one'), LAST + 1);
    t.true(names.delete('one'));
    t.false(names.delete('one'));
    t.is(names.get('one'), undefined);
    t.is(names.add('one'), LAST + 2);
  });

  test(`names ${kind} can be given to nodes that had others, and are listed by node`, (t) => {
    const names = make();
    const all = Array.from({ length: 50 }, (_, number) => `bench-create-${number}`);
    for (const name of all) names.add(name);
    t.deepEqual(
      [...names.entries()],
      all.map((name, number) => [name, LAST + 1 + number]),
    );
    names.delete('bench-create-0');
    names.set('renamed', LAST + 1);
    names.set('bench-create-1', LAST + 60);
    t.is(names.get('renamed'), LAST + 1);
    t.is(names.get('bench-create-1'), LAST + 60);
  });
}

test('a name in shared memory that is too long is refused', (t) => {
  t.throws(() => SharedNames.make(LAST).add('x'.repeat(100)), { code: 'ENAMETOOLONG' });
});

test('a name that several threads add and remove at once is had by one of them at a time', async (t) => {
  const ROUNDS = 20_000;
  const names = SharedNames.make(LAST);
  const held = new SharedArrayBuffer(4);
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.module).then(({ SharedNames }) => {
      const names = new SharedNames(workerData.memory);
      const held = new Int32Array(workerData.held);
      let had = 0;
      for (let round = 0; round < ${ROUNDS}; round += 1) {
        if (names.add('contended') === undefined) continue;
        had += 1;
        if (Atomics.add(held, 0, 1) !== 0) throw new Error('two threads have the name');
        Atomics.sub(held, 0, 1);
        if (!names.delete('contended')) throw new Error('the name was taken away');
      }
      parentPort.postMessage(had);
    });
  `;
  const workerData = { memory: names.memory, held, module: import.meta.resolve('#bench/names.js') };
  const counts = await Promise.all(
    [0, 1].map(
      () =>
        new Promise<number>((resolve, reject) => {
          new Worker(source, { eval: true, workerData }).once('message', resolve).once('error', reject);
        }),
    ),
  );
  for (const count of counts) t.true(count > 0);
  const nodes = counts.reduce((sum, count) => sum + count, 0);
  t.is(names.add('contended'), LAST + 1 + nodes);
});
