/** What a first filesystem leaves out or gets wrong: its callers get an answer, and its author a word. */

import { readdir, stat, statfs } from 'node:fs/promises';
import { inspect } from 'node:util';
import type { Handlers, LookupRequest, MountOptions } from 'ringfuse';
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

/** Replies with fields that no reply has, and how each field is reported. */
const unknown: readonly (readonly [op: keyof Handlers, reply: unknown, fields: readonly string[]])[] = [
  ['getattr', { attr: { mode: 0o40755, length: 3, owner: 1 }, ttl: 5 }, ['ttl', 'attr.length', 'attr.owner']],
  ['opendir', { fh: 1, flags: 2 }, ['flags']],
  ['statfs', { blocks: 1, bfree: 0, bavail: 0, files: 0, ffree: 0, free: 1 }, ['free']],
];

for (const [op, reply, fields] of unknown) {
  overBoth(`fields of a reply to ${op} that there are not are reported, each once`, async (t, transport) => {
    const errors: Error[] = [];
    const { dir } = await mounted(t, sandbox({ [op]: () => reply }), {
      ...UNCACHED,
      transport,
      onError: (error) => void errors.push(error as Error),
    });
    for (let round = 0; round < 2; round += 1) {
      await Promise.all([readdir(dir), statfs(dir)]);
    }
    t.deepEqual(
      errors.map(({ message }) => /^(.*) is no field; there are [a-z]+, /.exec(message)?.[1]),
      fields.map((field) => `${op} reply: ${field}`),
    );
  });
}

overBoth(
  'objects with fields of their own are no mistake: fs.Stats, a copy of one, and those of a class',
  async (t, transport) => {
    class Node {
      readonly mode = 0o40755;
      readonly children: readonly string[] = [];
    }
    const errors: unknown[] = [];
    const stats = await stat('/');
    const replies = [stats, { ...stats }, await stat('/', { bigint: true }), new Node()];
    let asked = 0;
    const { dir } = await mounted(
      t,
      sandbox({
        getattr: () => {
          const attr = replies[asked++ % replies.length];
          return {
            attr: typeof attr.mode === 'bigint' ? { ...attr, mode: Number(attr.mode) } : attr,
          } as never;
        },
      }),
      { ...UNCACHED, transport, onError: (error) => void errors.push(error) },
    );
    for (const _ of replies) await stat(dir).catch((error) => t.is(error.code, 'EIO'));
    t.deepEqual(
      errors.filter((error) => /is no field/.test(String(error))),
      [],
    );
  },
);

overBoth(
  'a setattr that reads new attributes from the request itself fails, and says where they are',
  async (t, transport) => {
    const errors: Error[] = [];
    const { path } = await mounted(
      t,
      sandbox({
        setattr: (request) => {
          const { size } = request as unknown as { size: number };
          return { attr: { mode: 0o100644, size } };
        },
      }),
      { ...UNCACHED, transport, onError: (error) => void errors.push(error as Error) },
    );
    t.is((await new Caller('truncate', '--size=0', path('file')).ended).code, 'EIO');
    t.deepEqual(
      errors.map(({ message }) => message),
      ['setattr: the request has no size: the new attributes are in attr, here attr.size'],
    );
  },
);

overBoth(
  'console.log and JSON of a request show its fields, in its handler and later',
  async (t, transport) => {
    const seen: (readonly [text: string, json: string])[] = [];
    const requests: LookupRequest[] = [];
    const show = (request: LookupRequest) =>
      seen.push([inspect(request, { breakLength: 1000 }), JSON.stringify(request)]);
    const { path } = await mounted(
      t,
      sandbox({
        lookup(request) {
          show(request);
          requests.push(request);
          return null;
        },
      }),
      { transport },
    );
    await stat(path('näme')).catch(() => undefined);
    show(requests[0]);
    for (const [text, json] of seen) {
      t.regex(
        text,
        /^LookupRequest \{ op: 'lookup', name: 'näme', parent: 1, uid: \d+, gid: \d+, pid: \d+ \}$/,
      );
      t.like(JSON.parse(json), { op: 'lookup', parent: 1, name: 'näme', uid: process.getuid?.() });
    }
    t.is(seen.length, 2);
  },
);

const LENGTH = 55_000;
const SHORT = 1000;

/** What the guide says of reads that are short in the middle of a file: bytes that `cat` shows, and zeros in them. */
const shortReads: readonly (readonly [options: MountOptions, shown: number, zeros: number])[] = [
  [{}, SHORT, 0],
  [{ capabilities: ['WRITEBACK_CACHE'] }, LENGTH, LENGTH - SHORT],
  [{ directIo: true }, LENGTH, 0],
];

for (const [options, shown, zeros] of shortReads) {
  overBoth(
    `a read that is short in the middle of a file is its end for Linux, as the guide warns: ${JSON.stringify(options)}`,
    async (t, transport) => {
      const attr = { mode: 0o100644, size: LENGTH };
      const { path } = await mounted(
        t,
        sandbox({
          lookup: ({ name }) => (name === 'file' ? { ino: 2, attr } : null),
          getattr: ({ ino }) => ({ attr: ino === 1 ? { mode: 0o40755 } : attr }),
          read: ({ offset, size }) => Buffer.alloc(Math.min(size, SHORT, Math.max(LENGTH - offset, 0)), 'x'),
        }),
        { transport, ...options },
      );
      const { code, output } = await new Caller('cat', path('file')).ended;
      t.is(code, undefined);
      t.is(output.length, shown);
      t.is(output.split('\0').length - 1, zeros);
    },
  );
}

overBoth('a write that writes nothing is EIO, as the guide warns', async (t, transport) => {
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const { path } = await mounted(t, sandbox({ write: () => 0 }), { transport, onError });
  const dd = ['if=/dev/zero', `of=${path('file')}`, 'bs=10', 'count=1', 'conv=notrunc', 'status=none'];
  t.is((await new Caller('dd', ...dd).ended).code, 'EIO');
  t.deepEqual(errors, []);
});
