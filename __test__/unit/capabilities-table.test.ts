import { readFile } from 'node:fs/promises';
import test from 'ava';
import { INIT, INIT_SINCE } from '#ringfuse/generated/layout.js';

/** What `negotiate.rs` does with each capability. */
async function stances(): Promise<Map<string, string>> {
  const source = await readFile('crates/ringfuse/src/negotiate.rs', 'utf8');
  const table = (pattern: RegExp): string => source.match(pattern)?.[0] ?? '';
  const found = new Map<string, string>();
  for (const [, name] of table(/DEFAULT_CAPABILITIES: [^;]+;/).matchAll(/InitFlags::([A-Z_0-9]+)/g))
    found.set(name, 'default');
  for (const [, name, reason] of table(/const REFUSED[^;]+;/).matchAll(
    /InitFlags::([A-Z_0-9]+),\s*"([^"]+)"/g,
  ))
    found.set(name, `refused: ${reason}`);
  return found;
}

test('docs/capabilities.md has every flag of FUSE_INIT: since when, what becomes of it, what it does', async (t) => {
  const known = await stances();
  const document = await readFile('docs/capabilities.md', 'utf8');
  const rows = [...document.matchAll(/^\| `([A-Z_0-9]+)` \| 7\.(\d+) \| ([^|]+) \| ([^|]+) \|$/gm)];
  t.deepEqual(
    rows.map(([, name, since, stance]) => [name, Number(since), stance]),
    Object.entries(INIT_SINCE).map(([name, since]) => [name, since, known.get(name) ?? 'optional']),
  );
  t.deepEqual(new Set(rows.map(([, name]) => name)), new Set(Object.keys(INIT)));
  t.true(rows.every(([, , , , effect]) => effect.trim() !== ''));
});
