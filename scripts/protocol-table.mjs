/**
 * `node scripts/protocol-table.mjs [--check]`: writes `docs/protocol.md` from what the tests of the protocol
 * recorded in `build/protocol-results`. With `--check` it writes nothing, and fails when something of the protocol
 * has no test that passed, or the document is not what the tests say.
 */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { INIT, NOTIFY } from '../packages/ringfuse/dist/generated/layout.js';
import { operations } from '../packages/ringfuse/dist/index.js';

const RESULTS = 'build/protocol-results';
const TESTS = '__test__/protocol';
const DOCUMENT = 'docs/protocol.md';
const TRANSPORTS = ['io_uring', 'dev_fuse'];

const KINDS = {
  operation: 'Operations',
  notification: 'Notifications',
  capability: 'Capabilities',
  'open flag': 'Open flags',
};

const HEAD = `# The protocol, as tested

Made by \`node scripts/protocol-table.mjs\` from the results of \`${TESTS}\`, on both transports: do not edit. Each row
is a system call that a test makes on a real mount; the test checks the fields of the request that JavaScript saw
and what the caller got.
`;

/** Names of flags in a table of \`negotiate.rs\`. */
function flagsIn(pattern) {
  const [text] = readFileSync('crates/ringfuse/src/negotiate.rs', 'utf8').match(pattern);
  return [...text.matchAll(/InitFlags::([A-Z_0-9]+)/g)].map(([, name]) => name);
}

function readRows() {
  if (!existsSync(RESULTS)) return [];
  return readdirSync(RESULTS)
    .filter((file) => existsSync(join(TESTS, file.replace('.jsonl', '.ts'))))
    .flatMap((file) => readFileSync(join(RESULTS, file), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** What must have a row, on both transports. */
function expected() {
  const untested = new Set([...flagsIn(/DEFAULT_CAPABILITIES: [^;]+;/s), ...flagsIn(/const REFUSED[^;]+;/s)]);
  return [
    ...operations.map((name) => ({ kind: 'operation', name })),
    ...Object.keys(NOTIFY).map((name) => ({ kind: 'notification', name })),
    ...Object.keys(INIT)
      .filter((name) => !untested.has(name))
      .map((name) => ({ kind: 'capability', name })),
  ];
}

function document(rows) {
  const lines = [HEAD];
  for (const [kind, title] of Object.entries(KINDS)) {
    const ofKind = new Map();
    for (const row of rows.filter((row) => row.kind === kind)) {
      const key = [row.name, row.call, row.result, row.test].join('\0');
      ofKind.set(key, { ...row, transports: [...(ofKind.get(key)?.transports ?? []), row.transport] });
    }
    if (ofKind.size === 0) continue;
    lines.push(
      `## ${title}\n`,
      '| name | system call | result | transport | test |',
      '|---|---|---|---|---|',
    );
    for (const key of [...ofKind.keys()].sort()) {
      const { name, call, result, test, transports } = ofKind.get(key);
      const by = TRANSPORTS.filter((transport) => transports.includes(transport)).join(', ');
      lines.push(`| \`${name}\` | ${call} | ${result} | ${by} | [${test}](../${TESTS}/${test}.ts) |`);
    }
    lines.push('');
  }
  return lines.join('\n');
}

const rows = readRows();
const passed = rows.filter(({ missing }) => missing === undefined);
const text = document(passed);
if (!process.argv.includes('--check')) {
  writeFileSync(DOCUMENT, text);
} else {
  const has = (kind, name, transport) =>
    rows.some((row) => row.kind === kind && row.name === name && row.transport === transport);
  const problems = expected().flatMap(({ kind, name }) =>
    TRANSPORTS.filter((transport) => !has(kind, name, transport)).map(
      (transport) => `${kind} ${name}: no test passed on ${transport}`,
    ),
  );
  const skipped = new Set(rows.map(({ missing }) => missing).filter((missing) => missing !== undefined));
  if (skipped.size > 0) console.log(`${DOCUMENT} is not compared here: ${[...skipped].join('; ')}`);
  else if (!existsSync(DOCUMENT) || readFileSync(DOCUMENT, 'utf8') !== text)
    problems.push(`${DOCUMENT} is not what the tests say: run \`node scripts/protocol-table.mjs\``);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
