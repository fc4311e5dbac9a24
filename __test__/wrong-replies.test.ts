/** Replies that Linux would turn into EIO without a word: an error names operation, field and value. */

import { constants } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { FOPEN, type Handlers, type MountOptions, type Operation } from 'ringfuse';
import { mounted } from './support/mounted.ts';
import { noPython } from './support/python.ts';
import { inoOf, sandbox, UNCACHED } from './support/sandbox.ts';
import { systemCalls } from './support/system-calls.ts';
import { transport } from './support/transports.ts';

const { S_IFDIR, S_IFLNK, S_IFREG, S_IFIFO } = constants;

/** A reply, what is wrong with it, a right one in its place, and the call that gets EIO and then its result. */
interface Wrong {
  readonly op: Operation;
  readonly reply: unknown;
  readonly message: RegExp;
  readonly right: unknown;
  readonly call: string;
  readonly options?: MountOptions;
}

const made = (mode: number, ino = 9): object => ({ ino, attr: { mode } });
const file = made(S_IFREG | 0o644, 2);
const lookup = "os.stat(at('file')) and None";
const getattr = "os.stat(at('file')) and None";
const open = "os.open(at('file'), os.O_RDONLY) and None";

const lookups: readonly (readonly [reply: unknown, message: RegExp])[] = [
  [made(0o755), /^lookup reply: attr\.mode must be a mode with a file type, .*, not 0o755$/],
  [made(0), /^lookup reply: attr\.mode must be .*, not 0o0$/],
  [made(0o170644), /^lookup reply: attr\.mode must be .*, not 0o170644$/],
  [{ ino: 1, attr: { mode: S_IFREG } }, /^lookup reply: ino must be .* from 2 \(1 is the root\), not 1$/],
  [{ ino: 1, attr: { mode: S_IFDIR } }, /^lookup reply: ino must be .* from 2 \(1 is the root\), not 1$/],
  [{ ino: 0, attr: { mode: S_IFREG } }, /^lookup reply: ino must be .*, not 0$/],
  [
    { ino: 2, attr: { mode: S_IFREG, size: 1n << 63n } },
    /^lookup reply: attr\.size must be at most .*, not 9223372036854775808n$/,
  ],
];

const wrongs: readonly Wrong[] = [
  ...lookups.map(([reply, message]): Wrong => ({ op: 'lookup', reply, message, right: file, call: lookup })),
  {
    op: 'getattr',
    reply: { attr: { mode: 0o755 } },
    message: /^getattr reply: attr\.mode must be a mode with a file type, .*, not 0o755$/,
    right: { attr: { mode: S_IFREG | 0o644 } },
    call: getattr,
  },
  {
    op: 'getattr',
    reply: { attr: { mode: S_IFDIR | 0o755 } },
    message: /^getattr reply: attr\.mode must be a mode of type S_IFREG, .*, not 0o40755$/,
    right: { attr: { mode: S_IFREG | 0o644 } },
    call: getattr,
  },
  {
    op: 'getattr',
    reply: { attr: { mode: S_IFREG | 0o644 } },
    message: /^getattr reply: attr\.mode must be a mode of type S_IFDIR, .*, not 0o100644$/,
    right: { attr: { mode: S_IFDIR | 0o755 } },
    call: 'os.stat(path) and None',
  },
  {
    op: 'setattr',
    reply: { attr: { mode: S_IFIFO | 0o644 } },
    message: /^setattr reply: attr\.mode must be a mode of type S_IFREG, .*, not 0o10644$/,
    right: { attr: { mode: S_IFREG | 0o600 } },
    call: "os.chmod(at('file'), 0o600)",
  },
  {
    op: 'mkdir',
    reply: made(S_IFREG | 0o755),
    message: /^mkdir reply: attr\.mode must be a mode of type S_IFDIR, .*, not 0o100755$/,
    right: made(S_IFDIR | 0o755),
    call: "os.mkdir(at('new'))",
  },
  {
    op: 'mknod',
    reply: made(S_IFREG | 0o644),
    message: /^mknod reply: attr\.mode must be a mode of type S_IFIFO, .*, not 0o100644$/,
    right: made(S_IFIFO | 0o644),
    call: "os.mkfifo(at('new'))",
  },
  {
    op: 'symlink',
    reply: made(S_IFREG | 0o777),
    message: /^symlink reply: attr\.mode must be a mode of type S_IFLNK, .*, not 0o100777$/,
    right: made(S_IFLNK | 0o777),
    call: "os.symlink('target', at('new'))",
  },
  {
    op: 'link',
    reply: made(S_IFIFO | 0o644, 2),
    message: /^link reply: attr\.mode must be a mode of type S_IFREG, .*, not 0o10644$/,
    right: file,
    call: "os.link(at('file'), at('new'))",
  },
  {
    op: 'create',
    reply: made(S_IFDIR | 0o755),
    message: /^create reply: attr\.mode must be a mode of type S_IFREG, .*, not 0o40755$/,
    right: made(S_IFREG | 0o644),
    call: "os.open(at('new'), os.O_CREAT | os.O_WRONLY) and None",
  },
  {
    op: 'create',
    reply: made(S_IFREG | 0o644, 1),
    message: /^create reply: ino must be .*, not 1$/,
    right: made(S_IFREG | 0o644),
    call: "os.open(at('new'), os.O_CREAT | os.O_WRONLY) and None",
  },
  {
    op: 'open',
    reply: { openFlags: FOPEN.PASSTHROUGH, backingId: 1 },
    message: /^open reply: openFlags must be without PASSTHROUGH .*, not 128$/,
    right: {},
    call: open,
  },
  {
    op: 'readlink',
    reply: 'a\0b',
    message: /^readlink reply: value must be without NUL, not "a\\u0000b"$/,
    right: 'a',
    call: "os.readlink(at('link')) and None",
  },
  {
    op: 'statx',
    reply: { attr: { mode: 0o644 } },
    message: /^statx reply: attr\.mode must be a mode with a file type, .*, not 0o644$/,
    right: { attr: { mode: S_IFREG | 0o644 } },
    call: "call({'x86_64': 332, 'aarch64': 291}[os.uname().machine], -100, os.fsencode(at('file')), 0, 0xfff, ctypes.create_string_buffer(256)) or None",
  },
];

const python = noPython === undefined ? test.serial : test.skip;

/** What two calls got, and what was reported. */
async function twice(
  t: ExecutionContext,
  { op, reply, right, call, options }: Wrong,
): Promise<[unknown, unknown[]]> {
  const errors: unknown[] = [];
  let replies = 0;
  const handlers = sandbox({
    lookup({ name }) {
      if (name === 'link') return { ino: 8, attr: { mode: S_IFLNK | 0o777, size: 1 } };
      return name === 'file' ? { ino: inoOf('file'), attr: { mode: S_IFREG | 0o644 } } : null;
    },
    ...({ [op]: () => (replies++ === 0 ? reply : right) } as Handlers),
  });
  const onError = (error: unknown): void => void errors.push(error);
  const { dir } = await mounted(t, handlers, { ...UNCACHED, transport, onError, ...options });
  const code = `
made = lambda: ${call}
say([attempt(made), attempt(made)])`;
  return [await systemCalls(t, code, dir), errors];
}

for (const wrong of wrongs) {
  const { op, reply, message } = wrong;
  const shown = JSON.stringify(reply, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
  python(`a ${op} that replies ${shown} is reported, and the next call is answered`, async (t) => {
    const [seen, errors] = await twice(t, wrong);
    t.deepEqual(seen, ['EIO', null]);
    t.is(errors.length, 1);
    t.true(errors[0] instanceof TypeError);
    t.regex((errors[0] as TypeError).message, message);
    t.regex(String((errors[0] as TypeError).stack), new RegExp(`^TypeError: ${op} reply: `));
  });
}

python(
  'PASSTHROUGH with flags that Linux does not take beside it, or without a backing file, is reported',
  async (t) => {
    const options = { capabilities: ['PASSTHROUGH'] } as const;
    for (const [reply, message] of [
      [
        { openFlags: FOPEN.PASSTHROUGH | FOPEN.KEEP_CACHE, backingId: 1 },
        /^open reply: openFlags must be PASSTHROUGH with nothing but/,
      ],
      [
        { openFlags: FOPEN.PASSTHROUGH },
        /^open reply: backingId must be the id of a Backing, with PASSTHROUGH, not 0$/,
      ],
    ] as const) {
      const [seen, errors] = await twice(t, { op: 'open', reply, message, right: {}, call: open, options });
      t.deepEqual(seen, ['EIO', null]);
      t.regex(String((errors[0] as Error)?.message), message);
    }
  },
);

python('a node may come back as another type, when a lookup says so', async (t) => {
  const types = [S_IFREG, S_IFDIR, S_IFIFO, S_IFREG];
  let lookups = 0;
  const errors: unknown[] = [];
  const { dir } = await mounted(
    t,
    sandbox({
      lookup: () => ({ ino: 2, attr: { mode: types[lookups++ % types.length] | 0o755 } }),
      getattr: ({ ino }) => ({
        attr: { mode: (ino === 1 ? S_IFDIR : types[(lookups - 1) % types.length]) | 0o755 },
      }),
    }),
    { ...UNCACHED, transport, onError: (error) => void errors.push(error) },
  );
  const seen = await systemCalls(
    t,
    "say([stat.S_IFMT(os.lstat(at('x')).st_mode) for index in range(4)])",
    dir,
  );
  t.true((seen as number[]).every((type) => types.includes(type)));
  t.deepEqual(errors, []);
});

python('a listing with attributes whose entry is the root, or has no type, is reported', async (t) => {
  for (const [entry, message] of [
    [
      { ino: 1, attr: { mode: S_IFDIR | 0o755 } },
      /^readdirplus reply: ino must be .* \(1 is the root\), not 1$/,
    ],
    [{ ino: 2, attr: { mode: 0o644 } }, /^readdirplus reply: attr\.mode must be a mode with a file type/],
  ] as const) {
    const errors: Error[] = [];
    const dots = ['.', '..'].map((name, index) => ({ name, ...made(S_IFDIR | 0o755, 1), offset: index + 1 }));
    const { dir } = await mounted(
      t,
      sandbox({
        readdirplus: ({ offset }) => (offset ? [] : [...dots, { name: 'x', ...entry, offset: 3 }]) as never,
      }),
      {
        ...UNCACHED,
        transport,
        capabilities: ['DO_READDIRPLUS'],
        onError: (error) => void errors.push(error as Error),
      },
    );
    t.is(await systemCalls(t, 'say(attempt(os.listdir, path))', dir), 'EIO');
    t.regex(String(errors[0]?.message), message);
  }
});
