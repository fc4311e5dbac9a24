import test from 'ava';
import { Directory } from '#fs/directory.js';
import { random } from './memory-random.ts';

interface TestNode {
  readonly ino: number;
  readonly mode: number;
}

const node = (ino: number): TestNode => ({ ino, mode: 0o100644 });

function makeDirectory(): Directory<TestNode> {
  return new Directory(node(1), node(1));
}

/** Lists in pieces of at most `piece` entries, with `between` after each. */
function scan(directory: Directory<TestNode>, piece: () => number, between: () => void): string[] {
  const names: string[] = [];
  let offset = 0;
  for (;;) {
    let room = piece();
    let taken = 0;
    for (const entry of directory.after(offset, Infinity)) {
      if (room === 0) break;
      names.push(entry.name);
      offset = entry.offset;
      room -= 1;
      taken += 1;
    }
    if (taken === 0) return names;
    between();
  }
}

test('an entry that is there all along is listed exactly once, whatever happens to others', (t) => {
  const { below } = random(t, 4);
  for (let round = 0; round < 50; round += 1) {
    const directory = makeDirectory();
    const steady = new Set<string>();
    const fleeting = new Set<string>();
    let made = 0;
    const add = (kind: Set<string>): void => {
      made += 1;
      const name = `${made}`;
      directory.add(name, node(made + 1));
      kind.add(name);
    };
    for (let i = 0; i < 400; i += 1) add(below(2) ? steady : fleeting);

    const names = scan(
      directory,
      () => 1 + below(20),
      () => {
        for (const name of fleeting) {
          const entry = directory.get(name);
          if (entry === undefined || below(4) !== 0) continue;
          fleeting.delete(name);
          if (below(3) === 0) {
            made += 1;
            directory.rename(entry, `${made}`);
            fleeting.add(`${made}`);
          } else {
            directory.remove(entry);
          }
        }
        if (made < 1000) add(fleeting);
      },
    );

    t.is(new Set(names).size, names.length, 'no name is listed twice');
    for (const name of steady) t.true(names.includes(name));
    t.deepEqual(names.slice(0, 2), ['.', '..']);
    t.is(directory.size, steady.size + fleeting.size);
    const listed = [...directory.after(2, Infinity)].map((entry) => entry.name);
    t.deepEqual(listed.sort(), [...steady, ...fleeting].sort());
  }
});

test('a directory can be emptied while it is listed', (t) => {
  const directory = makeDirectory();
  for (let i = 0; i < 1000; i += 1) directory.add(`${i}`, node(i + 2));
  let offset = 2;
  let removed = 0;
  for (;;) {
    const batch = [...directory.after(offset, Infinity)].slice(0, 7);
    if (batch.length === 0) break;
    for (const entry of batch) directory.remove(entry);
    offset = batch[batch.length - 1].offset;
    removed += batch.length;
  }
  t.is(removed, 1000);
  t.is(directory.size, 0);
  t.deepEqual([...directory.after(2, Infinity)], []);
});

test('an entry that is renamed keeps its place, so that a listing does not meet it again', (t) => {
  const directory = makeDirectory();
  for (const name of ['a', 'b', 'c']) directory.add(name, node(2));
  const [a, b] = [...directory.after(2, Infinity)];
  directory.rename(a, 'z');
  t.deepEqual(
    [...directory.after(b.offset, Infinity)].map((entry) => entry.name),
    ['c'],
  );
  t.is(directory.get('a'), undefined);
  t.is(directory.get('z'), a);
});

test('a listing that is told where to end does not meet what is made meanwhile', (t) => {
  const directory = makeDirectory();
  directory.add('old', node(2));
  const last = directory.lastOffset;
  const names: string[] = [];
  for (let offset = 2; ; ) {
    const [entry] = directory.after(offset, last);
    if (entry === undefined) break;
    names.push(entry.name);
    directory.add(`${entry.name}'s`, node(3));
    offset = entry.offset;
  }
  t.deepEqual(names, ['old']);
});

test('a name is found, listed and removed in a time that does not grow with the directory', (t) => {
  const directory = makeDirectory();
  for (let i = 0; i < 100_000; i += 1) directory.add(`${i}`, node(i + 2));
  for (let i = 0; i < 99_990; i += 1) {
    const entry = directory.get(`${i}`);
    if (entry !== undefined) directory.remove(entry);
  }
  t.is([...directory.after(2, Infinity)].length, 10);
});
