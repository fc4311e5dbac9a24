/** `docs/security.md`: what a mount guarantees, and what its options open. */

import { TRANSPORTS } from '../transports.mjs';

export const name = 'security';
export const document = 'docs/security.md';

/** Columns of a line. */
const WIDTH = 100;

const KINDS = {
  others: 'Who gets in, and with which rights',
  options: 'What each option opens',
  mirror: 'What a mirror guarantees against its users',
  source: 'What a mirror guarantees against users of its source',
  memory: 'What memory() guarantees',
};

const HEAD = `# Security

Made by \`node scripts/tables.mjs\`. Each line below is a test of
[security.test](../__test__/security.test.ts) on real mounts, over both transports. Edit the lines
there, and what a mount trusts in \`scripts/tables/security.mjs\`.

## What a mount trusts
`;

/** What follows from the design, and no test can show. */
const TRUST = [
  `The program that serves a mount sees every name and all contents of it, and decides over every answer. Users of a
  mount trust its server with that, and for an answer at all: a server that does not answer holds its callers until they
  are killed, or until the mount ends.`,
  `The server trusts the kernel. Names, sizes, offsets and flags of a request are the caller's. The kernel checks lengths,
  and ringfuse validates each request before a handler sees it.`,
  `A handler gets the caller's \`uid\`, \`gid\` and \`pid\` from the kernel, but not its supplementary groups. Leave
  the check of permissions to the kernel where you can (\`defaultPermissions\`).`,
  `With \`/dev/fd/N\`, the supervisor mounted. It decides whether others get in, and whether the kernel checks
  permissions: ringfuse cannot ask. It should pass \`default_permissions\` to mount(2) with \`allow_other\`.`,
  `What the kernel caches (\`entryTimeout\`, \`attrTimeout\`) includes modes and owners. A right that the filesystem
  takes away by itself stays in force until the cache expires, or until \`notify.invalInode\`.`,
  `A mirror that root serves opens, reads and writes files as root. The kernel checks permissions at the mount, before the
  mirror is asked, by what it has cached: within \`timeout\` a file can be opened with rights that were lost directly on
  the source, as by a descriptor that was opened before. Owners, modes, ACLs, flags, times, attributes \`system.*\` and
  names are changed as the caller, so that the source checks its present rights. With \`writeback\` times are not, as
  they also come with cached writes.`,
  `A source that checks permissions itself, as network and FUSE filesystems can, checks the server where files are opened,
  read and written: only its modes hold for users there.`,
  `A mirror that an ordinary user serves has the rights of that user on the source. What others make in it belongs to that
  user.`,
  `A user who may write to a mirror's source directly can stop the mirror: a write there locks the file, and if it writes
  from a mapping of the mirror, it holds the lock until the mirror answers, while the serving thread may wait for that
  lock. It needs a mapping without passthrough. It lasts until that process is killed. With
  \`onStall: 'fail'\` it lasts for \`stallTimeout\`: the requests are ended, over io_uring with the mount.`,
  `One user can take all descriptors of a mirror's server: each open file takes one, and beyond the server's limit (2^20
  by default) every caller gets ENFILE. Limit what one user can open, with RLIMIT_NOFILE and RLIMIT_NPROC.`,
  `memory() keeps contents in the memory of the process, from where they can get into swap space and core dumps.`,
];

export function problems(rows) {
  const has = new Set(rows.map(({ name, transport }) => `${name} ${transport}`));
  return rows.flatMap(({ name }) =>
    TRANSPORTS.filter((transport) => !has.has(`${name} ${transport}`)).map(
      (transport) => `${name}: there is no test on ${transport}`,
    ),
  );
}

/** A list item, in lines of {@link WIDTH}. */
function item(text) {
  const lines = [];
  let line = '-';
  for (const word of text.split(/\s+/)) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = ' ';
    }
    line += ` ${word}`;
  }
  return [...lines, line].join('\n');
}

export function render(rows) {
  const sections = Object.entries(KINDS).flatMap(([kind, title]) => {
    const statements = new Set(rows.filter((row) => row.kind === kind).map(({ name }) => name));
    return statements.size === 0 ? [] : [`## ${title}\n`, ...[...statements].map(item), ''];
  });
  return [HEAD, ...TRUST.map(item), '', ...sections].join('\n');
}
