import {
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { cachedPlaces, places, programTest, shell } from './support/programs.ts';

const byte = (value: number, count: number): Buffer => Buffer.alloc(count, value);

/** Names of 255 bytes and fewer; most are not UTF-8. */
const names: Readonly<Record<string, Buffer>> = {
  'ASCII, 255 bytes': byte(0x61, 255),
  'UTF-8, 255 bytes': Buffer.from(`${'ä¥🜁'.repeat(31)}ä¥ḁ`),
  'of four-byte characters': Buffer.from('🜁'.repeat(63)),
  'of one byte 0xFF': byte(0xff, 1),
  'of 255 bytes 0xFF': byte(0xff, 255),
  'of continuation bytes': byte(0x80, 200),
  'with every byte that a name may have': Buffer.from(
    Array.from({ length: 254 }, (_, index) => index + 1).map((value) => (value === 0x2f ? 0xff : value)),
  ),
  'Latin-1': Buffer.from('café', 'latin1'),
  'a character cut in the middle': Buffer.from('€').subarray(0, 2),
  'too long a form of a slash': Buffer.from([0xc0, 0xaf]),
  'a surrogate half': Buffer.from([0xed, 0xb0, 0x80]),
  'what a surrogate half stands for': Buffer.from([0xed, 0xb2, 0x80, 0x80]),
  'the replacement character': Buffer.from('\uFFFD'),
  'the replacement character and a stray byte': Buffer.concat([Buffer.from('\uFFFD'), byte(0xfe, 1)]),
  'a byte order mark': Buffer.from('\uFEFF'),
  'a byte order mark and a stray byte': Buffer.concat([Buffer.from('\uFEFFx'), byte(0xfe, 1)]),
  decomposed: Buffer.from('e\u0301'),
  composed: Buffer.from('\u00e9'),
  'line breaks and tabs': Buffer.from('a\nb\tc\r'),
};

const list = async (dir: string): Promise<string[]> =>
  (await readdir(dir, { encoding: 'buffer' })).map((name) => name.toString('hex')).sort();

const hex = (buffers: Iterable<Buffer>): string[] => [...buffers].map((name) => name.toString('hex')).sort();

const withoutSpaces = (text: string): string => text.replaceAll(' ', '');

for (const place of places) {
  programTest(`names are bytes: they survive every operation (${place})`, ['find'], async (t) => {
    const dir = await place.mount(t);
    const all = Object.values(names);
    const path = (...parts: (string | Buffer)[]): Buffer =>
      Buffer.concat([dir, ...parts].flatMap((part) => [Buffer.from(part), Buffer.from('/')])).subarray(0, -1);

    for (const name of all) await writeFile(path(name), name);
    t.deepEqual(await list(dir), hex(all));
    const found = await shell(dir, "find . -type f -printf '%f\\0' | od -An -v -w1 -tx1 | tr -d ' '");
    t.deepEqual(found.replaceAll('\n', ' ').split(' 00 ').slice(0, -1).map(withoutSpaces).sort(), hex(all));

    for (const [title, name] of Object.entries(names)) {
      t.deepEqual(await readFile(path(name)), name, title);
      t.true((await lstat(path(name))).isFile(), title);
    }

    await mkdir(path('links'));
    for (const name of all) await symlink(name, path('links', name));
    t.deepEqual(await list(join(dir, 'links')), hex(all));
    for (const [title, name] of Object.entries(names)) {
      t.deepEqual(await readlink(path('links', name), { encoding: 'buffer' }), name, title);
    }

    await mkdir(path('directories'));
    for (const name of all) {
      await mkdir(path('directories', name));
      await rename(path(name), path('directories', name, name));
    }
    t.deepEqual(await list(join(dir, 'directories')), hex(all));
    t.deepEqual(await list(dir), hex([Buffer.from('links'), Buffer.from('directories')]));
    for (const [title, name] of Object.entries(names)) {
      t.deepEqual(await readFile(path('directories', name, name)), name, title);
      await rename(path('directories', name, name), path(name));
      await unlink(path(name));
      await t.throwsAsync(lstat(path(name)), { code: 'ENOENT' }, title);
    }
    await rm(join(dir, 'links'), { recursive: true });
    await shell(dir, 'rm -r directories');
    t.deepEqual(await list(dir), []);
  });
}

for (const place of cachedPlaces) {
  programTest(`a name of 256 bytes is too long, whatever it is made of (${place})`, [], async (t) => {
    const dir = await place.mount(t);
    for (const long of ['a'.repeat(256), 'ä'.repeat(128), '🜁'.repeat(64)]) {
      await t.throwsAsync(writeFile(join(dir, long), ''), { code: 'ENAMETOOLONG' });
      await t.throwsAsync(lstat(join(dir, long)), { code: 'ENAMETOOLONG' });
      await t.throwsAsync(mkdir(join(dir, long)), { code: 'ENAMETOOLONG' });
      await t.throwsAsync(symlink('target', join(dir, long)), { code: 'ENAMETOOLONG' });
    }
    await writeFile(join(dir, 'short'), '');
    await t.throwsAsync(rename(join(dir, 'short'), join(dir, 'x'.repeat(256))), { code: 'ENAMETOOLONG' });
    t.is(await shell(dir, 'getconf NAME_MAX .; ls -A'), '255\nshort\n');
  });
}

for (const place of cachedPlaces) {
  programTest(
    `names that differ in nothing but their bytes are different files (${place})`,
    [],
    async (t) => {
      const dir = await place.mount(t);
      await shell(
        dir,
        `
    echo one > "$(printf 'e\\314\\201')"; echo two > "$(printf '\\303\\251')"; echo three > "$(printf '\\351')"
    echo four > e; echo five > E
    `,
      );
      t.is(await shell(dir, 'cat *'), 'five\nfour\none\ntwo\nthree\n');
    },
  );
}
