import test from 'ava';
import { CHUNK_SIZE } from '#fs/chunks.js';
import { BLOCK_SIZE, Contents } from '#fs/contents.js';
import { Space } from '#fs/space.js';
import { SparseArray } from '#fs/sparse.js';
import { random } from './memory-random.ts';

const TIB = 2 ** 40;
const FULL = 2 ** 50;

test('contents read back as a plain buffer does, through random writes, holes, zeros and allocations', (t) => {
  const { below, bytes } = random(t, 1);
  const length = 5 * CHUNK_SIZE;
  for (let round = 0; round < 20; round += 1) {
    const space = new Space(FULL, FULL);
    const contents = new Contents(space);
    const model = Buffer.alloc(length);
    for (let step = 0; step < 200; step += 1) {
      const from = below(length);
      const to = from + below(below(2) ? 700 : length - from);
      switch (below(5)) {
        case 0:
          contents.erase(from, to);
          model.fill(0, from, Math.min(to, length));
          break;
        case 1:
          contents.zero(from, to);
          model.fill(0, from, Math.min(to, length));
          break;
        case 2:
          t.true(contents.allocate(from, to));
          break;
        case 3:
          contents.erase(from, Infinity);
          model.fill(0, from);
          break;
        default: {
          const data = bytes(Math.min(to, length) - from);
          t.is(contents.write(from, data), data.length);
          data.copy(model, from);
        }
      }
      const start = below(length);
      const read = Buffer.alloc(below(length - start), 0xff);
      contents.read(start, read);
      if (!read.equals(model.subarray(start, start + read.length))) {
        t.fail(`round ${round}, step ${step}: other bytes from ${start} on`);
        return;
      }
      t.true(contents.allocated <= space.size - space.freeSize);
    }
    contents.erase(0, Infinity);
    t.is(contents.allocated, 0);
    t.is(space.freeSize, space.size);
    t.is(space.freeInodes, space.inodes);
  }
});

test('a copy within one file, which may replace the memory that it copies from, copies its bytes', (t) => {
  const { below, bytes } = random(t, 4);
  // Freed memory is detached every 256th time.
  for (let round = 0; round < 600; round += 1) {
    const contents = new Contents(new Space(FULL, FULL));
    const data = bytes(1 + below(30_000));
    const offset = data.length + below(2 * CHUNK_SIZE);
    contents.write(0, data);
    t.is(contents.copy(offset, contents, 0, data.length), data.length);
    const expected = Buffer.concat([data, Buffer.alloc(offset - data.length), data]);
    const read = Buffer.alloc(expected.length, 0xff);
    contents.read(0, read);
    if (!read.equals(expected)) return t.fail(`round ${round}: ${data.length} bytes, copied to ${offset}`);
    contents.erase(0, Infinity);
  }
});

test('a write that fails leaves no bytes that nobody wrote', (t) => {
  const space = new Space(FULL, FULL);
  const old = new Contents(space);
  old.write(CHUNK_SIZE, Buffer.alloc(CHUNK_SIZE, 'x'));
  old.erase(0, Infinity);
  const contents = new Contents(space);
  const detached = new Uint8Array(CHUNK_SIZE / 2);
  // As a request's bytes are that a handler transferred away.
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  Object.defineProperty(detached, 'length', { value: CHUNK_SIZE / 2 });
  t.throws(() => contents.write(CHUNK_SIZE, detached));
  const read = Buffer.alloc(CHUNK_SIZE, 0xff);
  contents.read(CHUNK_SIZE, read);
  t.true(read.equals(Buffer.alloc(CHUNK_SIZE)));
});

test('data and holes are told apart truly: what is not in data is zero, and data is not in a hole', (t) => {
  const { below, bytes } = random(t, 2);
  const length = 40 * CHUNK_SIZE;
  const contents = new Contents(new Space(FULL, FULL));
  const model = Buffer.alloc(length);
  for (let step = 0; step < 200; step += 1) {
    const from = below(length);
    if (below(3) === 0) {
      const to = Math.min(from + below(4 * CHUNK_SIZE), length);
      contents.erase(from, to);
      model.fill(0, from, to);
    } else {
      const data = bytes(Math.min(1 + below(3000), length - from));
      contents.write(from, data);
      data.copy(model, from);
    }
    // Blocks that are erased as a whole are holes.
    const first = below(length / BLOCK_SIZE);
    contents.erase(first * BLOCK_SIZE + (step % 2), (first + 2) * BLOCK_SIZE);
    model.fill(0, first * BLOCK_SIZE + (step % 2), (first + 2) * BLOCK_SIZE);
    t.true(contents.nextData((first + 1) * BLOCK_SIZE) >= (first + 2) * BLOCK_SIZE);
    t.is(contents.nextHole((first + 1) * BLOCK_SIZE), (first + 1) * BLOCK_SIZE);
    let at = 0;
    while (at < length) {
      const data = Math.min(contents.nextData(at), length);
      t.true(data >= at);
      t.true(model.subarray(at, data).every((byte) => byte === 0));
      if (data === length) break;
      at = contents.nextHole(data);
      t.true(at > data);
    }
  }
});

test('holes are of blocks of 4096 bytes, and cost nothing in a chunk that has data', (t) => {
  const contents = new Contents(new Space(FULL, FULL));
  contents.write(0, Buffer.alloc(3 * BLOCK_SIZE, 1));
  t.is(contents.allocated, 3 * BLOCK_SIZE);
  contents.erase(BLOCK_SIZE, 2 * BLOCK_SIZE);
  t.is(contents.nextHole(0), BLOCK_SIZE);
  t.is(contents.nextData(BLOCK_SIZE), 2 * BLOCK_SIZE);
  t.is(contents.allocated, 2 * BLOCK_SIZE);
  contents.zero(0, BLOCK_SIZE);
  t.is(contents.nextData(0), 2 * BLOCK_SIZE);
  t.is(contents.allocated, 2 * BLOCK_SIZE);
  contents.erase(2 * BLOCK_SIZE, Infinity);
  contents.erase(0, BLOCK_SIZE);
  t.is(contents.allocated, 0);
});

test('a file without holes takes nothing from the inodes', (t) => {
  const space = new Space(FULL, 1);
  const contents = new Contents(space);
  t.true(contents.allocate(0, 20_000 * CHUNK_SIZE));
  t.is(space.freeInodes, 1);
});

test('the index of a sparse file takes from the inodes, and a file that has no place there is full', (t) => {
  const space = new Space(FULL, 20);
  const contents = new Contents(space);
  let written = 0;
  while (contents.write(written * 2 ** 45, Buffer.from('x')) === 1) written += 1;
  t.true(written > 0 && written < 40, `${written} chunks`);
  t.true(space.freeInodes < 10);
  t.false(contents.allocate(200 * 2 ** 45, 200 * 2 ** 45 + 1));
  contents.erase(0, Infinity);
  t.is(space.freeInodes, 20);
  t.is(space.freeSize, FULL);
});

test('a copy has the bytes and the holes of its source, also within one file', (t) => {
  const { below, bytes } = random(t, 4);
  const length = 12 * CHUNK_SIZE;
  for (let round = 0; round < 100; round += 1) {
    const space = new Space(FULL, FULL);
    const files = [new Contents(space), new Contents(space)];
    const models = files.map(() => Buffer.alloc(length));
    for (let step = 0; step < 30; step += 1) {
      const to = below(2);
      const offset = below(length);
      if (below(2) === 0) {
        const data = bytes(Math.min(1 + below(3000), length - offset));
        files[to].write(offset, data);
        data.copy(models[to], offset);
        continue;
      }
      const from = below(2);
      const start = below(2) ? offset % CHUNK_SIZE : below(length);
      const most = from === to ? Math.abs(start - offset) : length;
      const count = Math.min(most, below(4 * CHUNK_SIZE), length - start, length - offset);
      t.is(files[to].copy(offset, files[from], start, count), count);
      models[from].copy(models[to], offset, start, start + count);
      const read = Buffer.alloc(length, 0xff);
      files[to].read(0, read);
      if (!read.equals(models[to])) return t.fail(`round ${round}, step ${step}: other bytes`);
    }
    t.true(files[0].allocated + files[1].allocated <= space.size - space.freeSize);
    for (const file of files) file.erase(0, Infinity);
    t.is(space.freeSize, space.size);
    t.is(space.freeInodes, space.inodes);
  }
});

test('a copy of a hole frees what was there, and a copy ends where space does', (t) => {
  const space = new Space(5 * CHUNK_SIZE, FULL);
  const [source, target] = [new Contents(space), new Contents(space)];
  source.write(4 * CHUNK_SIZE, Buffer.from('x'));
  target.write(2 * CHUNK_SIZE, Buffer.alloc(2 * CHUNK_SIZE, 1));
  t.is(target.copy(CHUNK_SIZE, source, CHUNK_SIZE, 3 * CHUNK_SIZE + 1), 3 * CHUNK_SIZE + 1);
  t.is(target.allocated, BLOCK_SIZE);
  t.is(target.nextData(0), 4 * CHUNK_SIZE);
  source.write(CHUNK_SIZE, Buffer.alloc(3 * CHUNK_SIZE, 2));
  t.is(space.freeSize, 0);
  t.is(target.copy(CHUNK_SIZE, source, CHUNK_SIZE, 2 * CHUNK_SIZE), 0);
});

test('a hole costs nothing, however large', (t) => {
  const contents = new Contents(new Space(FULL, FULL));
  contents.write(TIB, Buffer.from('end'));
  t.is(contents.allocated, BLOCK_SIZE);
  t.is(contents.nextData(0), TIB);
  t.is(contents.nextHole(TIB), TIB + BLOCK_SIZE);
  const read = Buffer.alloc(6, 0xff);
  contents.read(TIB - 3, read);
  t.deepEqual(read, Buffer.from('\0\0\0end'));
});

test('the last bytes that a file can have are stored', (t) => {
  const contents = new Contents(new Space(FULL, FULL));
  const last = Number.MAX_SAFE_INTEGER - 4;
  t.is(contents.write(last, Buffer.from('last')), 4);
  const read = Buffer.alloc(4);
  contents.read(last, read);
  t.is(read.toString(), 'last');
  contents.erase(0, Infinity);
  t.is(contents.allocated, 0);
});

test('a small file takes little more than its bytes', (t) => {
  const contents = new Contents(new Space(FULL, FULL));
  contents.write(0, Buffer.alloc(100, 1));
  t.is(contents.allocated, 512);
  contents.write(100, Buffer.alloc(1000, 1));
  t.is(contents.allocated, 2048);
});

test('a write ends where space does', (t) => {
  const space = new Space(2 * CHUNK_SIZE, FULL);
  const contents = new Contents(space);
  t.is(contents.write(CHUNK_SIZE, Buffer.alloc(3 * CHUNK_SIZE, 1)), 2 * CHUNK_SIZE);
  t.is(contents.write(10 * CHUNK_SIZE, Buffer.from('x')), 0);
  t.is(contents.write(CHUNK_SIZE + 10, Buffer.from('x')), 1, 'what is allocated can be written again');
});

test('an allocation without space changes nothing', (t) => {
  const space = new Space(3 * CHUNK_SIZE, FULL);
  const contents = new Contents(space);
  contents.write(CHUNK_SIZE, Buffer.from('x'));
  t.false(contents.allocate(0, 4 * CHUNK_SIZE));
  t.false(contents.allocate(0, TIB));
  t.is(contents.allocated, BLOCK_SIZE);
  t.true(contents.allocate(0, 3 * CHUNK_SIZE));
  t.is(contents.allocated, 3 * CHUNK_SIZE);
  t.is(space.freeSize, 0);
  t.is(contents.write(0, Buffer.alloc(3 * CHUNK_SIZE, 1)), 3 * CHUNK_SIZE, 'its space is there');
});

test('what is allocated and not written counts as a hole, and stays allocated when zeroed', (t) => {
  const contents = new Contents(new Space(FULL, FULL));
  contents.allocate(CHUNK_SIZE, 3 * CHUNK_SIZE);
  t.is(contents.nextData(0), Infinity);
  contents.write(CHUNK_SIZE, Buffer.from('x'));
  t.is(contents.nextData(0), CHUNK_SIZE);
  contents.zero(0, 3 * CHUNK_SIZE);
  t.is(contents.nextData(0), Infinity);
  t.is(contents.allocated, 2 * CHUNK_SIZE);
});

test('a sparse array finds what a map finds, at indexes of every size', (t) => {
  const { below } = random(t, 3);
  const sparse = new SparseArray<{ readonly index: number }>();
  const model = new Map<number, { readonly index: number }>();
  const index = (): number => below(2 ** below(38)) + (below(4) === 0 ? 2 ** 36 : 0);
  for (let step = 0; step < 20_000; step += 1) {
    const keys = below(100) === 0 ? [...model.keys()] : [];
    const at = keys.length > 0 ? keys[below(keys.length)] : index();
    if (below(3) === 0) {
      sparse.delete(at);
      model.delete(at);
    } else {
      const element = { index: at };
      sparse.set(at, element);
      model.set(at, element);
    }
    if (sparse.get(at) !== model.get(at)) t.fail(`step ${step}: index ${at}`);
    if (step % 500 !== 0) continue;
    const from = index();
    const expected = Math.min(...[...model.keys()].filter((key) => key >= from));
    t.is(sparse.next(from), expected);
  }
  for (const [key, element] of model) {
    t.is(sparse.get(key), element);
    sparse.delete(key);
  }
  t.is(sparse.next(0), Infinity);
});
