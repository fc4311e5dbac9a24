/** What a first filesystem leaves out or gets wrong: its callers get an answer, and its author a word. */

import { readdir, statfs } from 'node:fs/promises';
import type { Handlers } from 'ringfuse';
import { Caller } from './support/callers.ts';
import { mounted } from './support/mounted.ts';
import { sandbox, UNCACHED } from './support/sandbox.ts';
import { overBoth } from './support/transports.ts';

const ENTRIES = Array.from({ length: 5000 }, (_, index) => ({
  name: `entry-${index}`,
  ino: index + 2,
  offset: index + 1,
}));

const listings: Readonly<Record<string, Handlers>> = {
  'a small directory': { readdir: () => ENTRIES.slice(0, 3) },
  'a directory that takes several requests': { readdir: () => ENTRIES },
  'a directory whose entries all have one offset': {
    readdir: ({ offset }) => ENTRIES.slice(offset, offset + 5).map((entry) => ({ ...entry, offset: 1 })),
  },
  'a directory whose offsets have 64 bits': {
    readdir: () => ENTRIES.map((entry) => ({ ...entry, offset: (1n << 62n) + BigInt(entry.offset) })),
  },
  'a listing with attributes': {
    readdir: () => ENTRIES,
    readdirplus: () => ENTRIES.map((entry) => ({ ...entry, attr: { mode: 0o100644 } })),
  },
};

for (const [what, handlers] of Object.entries(listings)) {
  overBoth(
    `a readdir that ignores the offset is reported, and the listing ends: ${what}`,
    async (t, transport) => {
      const errors: Error[] = [];
      const { dir } = await mounted(t, sandbox(handlers), {
        ...UNCACHED,
        transport,
        capabilities: handlers.readdirplus === undefined ? [] : ['DO_READDIRPLUS', 'READDIRPLUS_AUTO'],
        onError: (error) => void errors.push(error as Error),
      });
      const { code, output } = await new Caller('ls', '-U', dir).ended;
      t.is(code, 'EIO');
      t.true(output.length < 1 << 20);
      t.is(errors.length, 1);
      t.true(errors[0] instanceof TypeError);
      t.regex(
        errors[0].message,
        /^readdir(plus)? reply: the offset of the last entry is that of the request, \d+: /,
      );
    },
  );
}

overBoth('a listing whose offsets are in any order is listed as a whole', async (t, transport) => {
  const shuffled = ENTRIES.map((entry, index) => ({ ...entry, offset: ((index * 2741) % 5003) + 1 }));
  const positions = new Map(shuffled.map(({ offset }, index) => [offset, index + 1]));
  const { dir } = await mounted(
    t,
    sandbox({ readdir: ({ offset }) => shuffled.slice(positions.get(offset) ?? 0) }),
    { ...UNCACHED, transport },
  );
  t.deepEqual((await readdir(dir)).sort(), ENTRIES.map(({ name }) => name).sort());
});

for (const [what, own] of Object.entries<Handlers>({
  'has no handler': {},
  'fails with ENOSYS': { statfs: (request) => request.fail('ENOSYS') as never },
})) {
  overBoth(
    `df, stat -f and statfs work on a mount whose statfs ${what}: they see zeros`,
    async (t, transport) => {
      const { dir, path } = await mounted(t, sandbox(own), { transport });
      const { blocks, bfree, bavail, files, ffree, bsize } = await statfs(dir);
      t.deepEqual(
        { blocks, bfree, bavail, files, ffree, bsize },
        { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, bsize: 512 },
      );
      const { code, output } = await new Caller('df', '--output=size,target', dir).ended;
      t.is(code, undefined);
      t.regex(output, new RegExp(`0 ${dir}\n$`));
      t.is(
        (await new Caller('stat', '--file-system', '--format=%l %s %S', path('file')).ended).output,
        '255 512 512\n',
      );
    },
  );
}
