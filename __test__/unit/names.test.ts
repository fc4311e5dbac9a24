/** Names are bytes: as strings they lose none. */

import test from 'ava';
import { decodeName, encodeName } from 'ringfuse';

/** The same sequence in every run (xorshift32). */
function* random(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

const pairs: readonly (readonly [what: string, bytes: readonly number[], name: string])[] = [
  ['ASCII', [0x61, 0x62], 'ab'],
  ['two, three and four bytes', [0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80], 'é€😀'],
  [
    'the first and last of each length',
    [0xc2, 0x80, 0xdf, 0xbf, 0xe0, 0xa0, 0x80, 0xef, 0xbf, 0xbf],
    '\x80\u07ff\u0800\uffff',
  ],
  ['the last character of Unicode', [0xf4, 0x8f, 0xbf, 0xbf], '\u{10ffff}'],
  ['a replacement character of its own', [0xef, 0xbf, 0xbd], '\ufffd'],
  ['a byte order mark', [0xef, 0xbb, 0xbf, 0x61], '\ufeffa'],
  ['a byte order mark beside a byte that is not UTF-8', [0xef, 0xbb, 0xbf, 0xff], '\ufeff\udcff'],
  ['Latin-1', [0x63, 0x61, 0x66, 0xe9], 'caf\udce9'],
  ['a continuation byte alone', [0x80, 0xbf], '\udc80\udcbf'],
  ['a sequence that is cut off', [0x61, 0xe2, 0x82], 'a\udce2\udc82'],
  ['a sequence that a letter cuts off', [0xe2, 0x82, 0x61], '\udce2\udc82a'],
  ['an overlong sequence', [0xc0, 0xaf], '\udcc0\udcaf'],
  ['an overlong sequence of three', [0xe0, 0x80, 0xaf], '\udce0\udc80\udcaf'],
  ['a surrogate in UTF-8', [0xed, 0xb3, 0xa9], '\udced\udcb3\udca9'],
  ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80], '\udcf4\udc90\udc80\udc80'],
  ['bytes that never are UTF-8', [0xf8, 0xfe, 0xff], '\udcf8\udcfe\udcff'],
  ['valid beside invalid', [0xc3, 0xa9, 0xff, 0xc3, 0xa9], 'é\udcffé'],
  ['a pair before a byte that is not UTF-8', [0xf0, 0x9f, 0x98, 0x80, 0x80], '😀\udc80'],
];

for (const [what, bytes, name] of pairs) {
  test(`${what}: bytes and string name each other`, (t) => {
    t.is(decodeName(Uint8Array.from(bytes)), name);
    t.deepEqual([...encodeName(name)], bytes);
  });
}

test('any bytes survive the way to a string and back', (t) => {
  const numbers = random(1);
  for (let round = 0; round < 5_000; round++) {
    // Bytes that begin, go on and break sequences come more often than by chance.
    const bytes = Buffer.from(
      Array.from({ length: 1 + (numbers.next().value % 32) }, () => {
        const number = numbers.next().value;
        return number & 0x100 ? 0x80 | (number & 0x7f) : number & 0xff || 1;
      }),
    );
    const name = decodeName(bytes);
    if (!encodeName(name).equals(bytes))
      return t.fail(`${bytes.toString('hex')} became ${JSON.stringify(name)}`);
  }
  t.pass();
});

test('different bytes have different strings', (t) => {
  const names = new Set<string>();
  for (let high = 0x80; high < 0x100; high++) {
    for (let low = 0x01; low < 0x100; low++) names.add(decodeName(Uint8Array.of(high, low)));
  }
  t.is(names.size, 0x80 * 0xff);
});

test('any well-formed string survives the way to bytes and back', (t) => {
  const numbers = random(7);
  for (let round = 0; round < 5_000; round++) {
    const codes = Array.from(
      { length: 1 + (numbers.next().value % 16) },
      () => 1 + (numbers.next().value % 0x10fffe),
    );
    const name = String.fromCodePoint(...codes.filter((code) => code < 0xd800 || code > 0xdfff));
    if (decodeName(encodeName(name)) !== name) return t.fail(JSON.stringify(name));
  }
  t.pass();
});

test('a part of larger memory can be decoded', (t) => {
  const memory = new Uint8Array([0x61, 0xff, 0xc3, 0xa9, 0x62]);
  t.is(decodeName(memory.subarray(1, 4)), '\udcffé');
});
