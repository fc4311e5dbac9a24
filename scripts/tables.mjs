/**
 * `node scripts/tables.mjs [--check]`: writes the tables of the documentation that tests stand for, from what they
 * recorded in `target/test-results`. With `--check` it writes nothing, and fails when a test that stands for a row
 * has not passed, a row has no test, or a document is not what the tests say.
 */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, say } from './run.mjs';
import * as faults from './tables/faults.mjs';
import * as protocol from './tables/protocol.mjs';
import * as security from './tables/security.mjs';

const RESULTS = join(root, 'target/test-results');

/** The rows of a table, each once for each transport; results of tests that are no more do not count. */
function readRows(table) {
  const folder = join(RESULTS, table);
  if (!existsSync(folder)) return [];
  const lines = readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith('.jsonl'))
    .flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .filter(({ test }) => existsSync(join(root, test)));
  const rows = new Map();
  for (const { passed, missing, ...row } of lines) {
    const key = JSON.stringify(row);
    rows.set(key, { ...row, missing, passed: passed || rows.get(key)?.passed });
  }
  return [...rows.values()];
}

/** What is wrong with a table, a line each. */
function check({ name, document, problems, render }) {
  const rows = readRows(name);
  const found = [
    ...rows
      .filter(({ passed, missing }) => !passed && missing === undefined)
      .map(({ test, transport, ...row }) => `${test}, ${transport}: not passed: ${row.name}`),
    ...problems(rows),
  ];
  const skipped = new Set(rows.map(({ missing }) => missing).filter((missing) => missing !== undefined));
  if (skipped.size > 0) say(`${document} is not compared here: ${[...skipped].join('; ')}`);
  else found.push(...differences(document, render(rows)));
  return found;
}

/** The lines that a document has too many, and those that it lacks. */
function differences(document, text) {
  const path = join(root, document);
  const has = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (has === text) return [];
  const lines = (content) => new Set(content.split('\n'));
  const [present, due] = [lines(has), lines(text)];
  return [
    ...[...present].filter((line) => !due.has(line)).map((line) => `${document}: no test says: ${line}`),
    ...[...due].filter((line) => !present.has(line)).map((line) => `${document}: missing: ${line}`),
    `${document} is not what the tests say: run \`node scripts/tables.mjs\` after them`,
  ];
}

const tables = [protocol, faults, security];
if (process.argv.includes('--check')) {
  const found = tables.flatMap(check);
  for (const problem of found) console.error(problem);
  process.exitCode = found.length > 0 ? 1 : 0;
} else {
  for (const { name, document, render } of tables) {
    writeFileSync(join(root, document), render(readRows(name).filter(({ passed }) => passed)));
  }
}
