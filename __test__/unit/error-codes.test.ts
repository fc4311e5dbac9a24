import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';

const CODE = /ERR_RINGFUSE_[A-Z_]*[A-Z]/g;

/** Where codes are made. */
const SOURCES = [
  'crates/ringfuse/src',
  'crates/ringfuse-node/src',
  'packages/ringfuse/src',
  'packages/fs/src',
];

async function codesIn(directory: string): Promise<Set<string>> {
  const codes = new Set<string>();
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((found) => found.isFile())) {
    const text = await readFile(join(entry.parentPath, entry.name), 'utf8');
    for (const line of text.split('\n')) {
      // Comments tell of codes that are made elsewhere.
      if (/^\s*(\/\/|\*|\/\*)/.test(line)) continue;
      for (const [code] of line.matchAll(CODE)) codes.add(code);
    }
  }
  return codes;
}

test('docs/errors.md lists each code that Rust and TypeScript make, and no other', async (t) => {
  const made = new Set<string>();
  for (const source of SOURCES) for (const code of await codesIn(source)) made.add(code);
  t.true(made.size > 15, 'the sources were found');
  const page = await readFile('docs/errors.md', 'utf8');
  const listed = [...page.matchAll(/^\| `(ERR_RINGFUSE_[A-Z_]+)` \|/gm)].map(([, code]) => code);
  t.deepEqual([...listed].sort(), [...made].sort());
  t.is(new Set(listed).size, listed.length);
});
