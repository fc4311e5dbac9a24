/** `docs/protocol.md`: what of the protocol has a test. */

import { readFileSync } from 'node:fs';
import { INIT, NOTIFY } from '../../packages/ringfuse/dist/generated/layout.js';
import { operations } from '../../packages/ringfuse/dist/index.js';
import { root } from '../run.mjs';
import { TRANSPORTS } from '../transports.mjs';
import { link, merged, sections } from './rows.mjs';

export const name = 'protocol';
export const document = 'docs/protocol.md';

const KINDS = {
  operation: 'Operations',
  notification: 'Notifications',
  capability: 'Capabilities',
  'open flag': 'Open flags',
};

const HEAD = `# The protocol, as tested

Made by \`node scripts/tables.mjs\` from the results of \`__test__/protocol\`, on both transports: do not edit. Each row
is a system call that a test makes on a real mount; the test checks the fields of the request that JavaScript saw
and what the caller got.
`;

/** Names of flags in a table of \`negotiate.rs\`. */
function flagsIn(pattern) {
  const [text] = readFileSync(`${root}crates/ringfuse/src/negotiate.rs`, 'utf8').match(pattern);
  return [...text.matchAll(/InitFlags::([A-Z_0-9]+)/g)].map(([, flag]) => flag);
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

export function problems(rows) {
  const has = new Set(rows.map(({ kind, name, transport }) => `${kind} ${name} ${transport}`));
  return expected().flatMap(({ kind, name }) =>
    TRANSPORTS.filter((transport) => !has.has(`${kind} ${name} ${transport}`)).map(
      (transport) => `${kind} ${name}: there is no test on ${transport}`,
    ),
  );
}

export function render(rows) {
  const all = merged(rows, ({ name, call, result, test }) => [name, call, result, test].join('\0'));
  const lines = (ofKind) => [
    '| name | system call | result | transport | test |',
    '|---|---|---|---|---|',
    ...ofKind.map(
      ({ name, call, result, transports, test }) =>
        `| \`${name}\` | ${call} | ${result} | ${transports.join(', ')} | ${link(test)} |`,
    ),
  ];
  return [HEAD, ...sections(KINDS, all, lines)].join('\n');
}
