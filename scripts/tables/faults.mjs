/** `docs/faults.md`: what becomes of callers, and what is left, when something goes wrong. */

import { TRANSPORTS } from '../transports.mjs';
import { link, merged, sections } from './rows.mjs';

export const name = 'faults';
export const document = 'docs/faults.md';

const KINDS = {
  start: 'Mounting',
  handler: 'Handlers',
  caller: 'Callers',
  load: 'Load and limits',
  end: 'The mount is ended by its program',
  outside: 'The mount is ended from outside',
  death: 'The program ends',
};

const HEAD = `# Faults

Made by \`node scripts/tables.mjs\` from tests that do what it says on real mounts, over both transports: do not edit.

- *callers see*: the errno that system calls fail with, of callers that wait at that moment and of those that come
  afterwards; *their answers*: nothing of it. Of a fault in mounting, the \`code\` of the error that \`mount\` throws.
- *within*: the bound in milliseconds that the test asserts, from the fault until every caller has its answer and
  there is no more left than the next column says. What was measured is far less, and in the output of the test.
- *left*: *nothing* is no mount in /proc/mounts, no descriptor of /dev/fuse or an io_uring, no thread and no process of
  ours. *the mount*: it goes on, and answers. *a stale mountpoint*: /proc/mounts has it, whoever uses it gets ENOTCONN,
  and \`umount -l\` clears it; there is no process, thread or descriptor.
`;

export function problems(rows) {
  const key = ({ kind, name }) => `${kind}: ${name}`;
  const has = new Set(rows.map((row) => `${key(row)} ${row.transport}`));
  return rows
    .filter(({ only }) => only === undefined)
    .flatMap((row) =>
      TRANSPORTS.filter((transport) => !has.has(`${key(row)} ${transport}`)).map(
        (transport) => `${key(row)}: there is no test on ${transport}`,
      ),
    );
}

export function render(rows) {
  const all = merged(rows, ({ kind, only, transport, passed, missing, ...row }) =>
    Object.values(row).join('\0'),
  );
  const lines = (ofKind) => [
    '| fault | callers see | within, ms | left | transport | test |',
    '|---|---|---|---|---|---|',
    ...ofKind.map(
      ({ name, callers, within, left, transports, test }) =>
        `| ${name} | ${callers.join(', ') || '–'} | ${within} | ${left} | ${transports.join(', ')} | ${link(test)} |`,
    ),
  ];
  return [HEAD, ...sections(KINDS, all, lines)].join('\n');
}
