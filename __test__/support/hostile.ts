/** A filesystem that does what a test says in one operation, and a caller of every operation. */

import type { ExecutionContext } from 'ava';
import type { Attributes, Handlers, MountOptions, Operation, Request, Transport } from 'ringfuse';
import { type Mounted, mounted } from './mounted.ts';
import type { PythonProgram } from './python.ts';
import { UNCACHED } from './sandbox.ts';
import { startSystemCalls } from './system-calls.ts';

/** What `file` contains. */
export const BYTES: Buffer = Buffer.from('the right bytes');

const NODES: Readonly<Record<string, number>> = { dir: 2, file: 3, link: 4 };
const MADE = 5;
/** Every inode number that programs see, so that programs can tell it from others. */
const attributes: Readonly<Record<number, Attributes>> = {
  1: { mode: 0o40755, nlink: 2 },
  2: { mode: 0o40755, nlink: 2 },
  3: { mode: 0o100644, size: BYTES.length },
  4: { mode: 0o120777, size: 4 },
  5: { mode: 0o100644 },
};

const made = (mode: number) => ({ ino: MADE, attr: { ...attributes[MADE], mode } });

const honest = {
  lookup: ({ name }) => (name in NODES ? { ino: NODES[name], attr: attributes[NODES[name]] } : null),
  getattr: ({ ino }) => ({ attr: attributes[ino] }),
  setattr: ({ ino }) => ({ attr: attributes[ino] }),
  readlink: () => 'file',
  symlink: () => made(0o120777),
  mknod: ({ mode }) => made(mode),
  mkdir: () => made(0o40755),
  unlink: () => undefined,
  rmdir: () => undefined,
  rename: () => undefined,
  link: () => ({ ino: 3, attr: attributes[3] }),
  open: () => ({ fh: 1 }),
  create: () => ({ ...made(0o100644), fh: 1 }),
  read: ({ offset, size }) => BYTES.subarray(offset, offset + size),
  write: ({ size }) => size,
  statfs: () => ({ blocks: 100, bfree: 50, bavail: 40, files: 30, ffree: 20 }),
  flush: () => undefined,
  fsync: () => undefined,
  setxattr: () => undefined,
  getxattr: ({ name }) => (name === 'user.a' ? BYTES : null),
  listxattr: () => ['user.a'],
  removexattr: () => undefined,
  opendir: () => ({ fh: 1 }),
  readdir: ({ offset }) =>
    Object.entries(NODES)
      .map(([name, ino], index) => ({ name, ino, offset: index + 1 }))
      .slice(offset),
  fallocate: () => undefined,
  lseek: ({ offset }) => offset,
  ioctl: () => ({ data: BYTES.subarray(0, 8) }),
} satisfies Handlers;

/** The operations that {@link Hostile.call} calls. */
export type Called = keyof typeof honest;

/** All of them. */
export const CALLED: readonly Called[] = Object.keys(honest) as Called[];

/** A system call for each operation, and what it gives: it is made again when a line with its name comes. */
const PROGRAM = `
fd = os.open(at('file'), os.O_RDWR)
def ioctl():
    answer = bytearray(8)
    fcntl.ioctl(fd, 0x80087a01, answer)  # _IOR('z', 1, 8)
    return bytes(answer).decode('latin-1')
calls = dict(
    lookup=lambda: os.stat(at('file')).st_size,
    getattr=lambda: os.stat(path).st_mode,
    setattr=lambda: os.chmod(at('file'), 0o644),
    readlink=lambda: os.readlink(at('link')),
    symlink=lambda: os.symlink('x', at('made')),
    mknod=lambda: os.mknod(at('made'), 0o100644),
    mkdir=lambda: os.mkdir(at('made')),
    unlink=lambda: os.unlink(at('file')),
    rmdir=lambda: os.rmdir(at('dir')),
    rename=lambda: os.rename(at('file'), at('made')),
    link=lambda: os.link(at('file'), at('made')),
    open=lambda: os.close(os.open(at('file'), os.O_RDONLY)),
    create=lambda: os.close(os.open(at('made'), os.O_CREAT | os.O_EXCL | os.O_RDWR)),
    read=lambda: os.pread(fd, 4096, 0).decode('latin-1'),
    write=lambda: os.pwrite(fd, b'abc', 0),
    statfs=lambda: os.statvfs(path).f_blocks,
    flush=lambda: os.close(os.open(at('file'), os.O_RDONLY)),
    fsync=lambda: os.fsync(fd),
    setxattr=lambda: os.setxattr(at('file'), 'user.a', b'abc'),
    getxattr=lambda: os.getxattr(at('file'), 'user.a').decode('latin-1'),
    listxattr=lambda: os.listxattr(at('file')),
    removexattr=lambda: os.removexattr(at('file'), 'user.a'),
    opendir=lambda: len(os.listdir(path)),
    readdir=lambda: sorted(os.listdir(path)),
    fallocate=lambda: os.posix_fallocate(fd, 0, 10),
    lseek=lambda: os.lseek(fd, 2, os.SEEK_DATA),
    ioctl=ioctl,
)
say('ready')
for line in sys.stdin:
    try:
        say(dict(result=calls[line.strip()]()))
    except OSError as error:
        say(dict(code=errno.errorcode[error.errno]))
`;

/** What a system call gave. */
export interface CallResult {
  readonly code?: string;
  readonly result?: unknown;
}

/** A mount whose handlers do what a test says. */
export interface Hostile extends Mounted {
  /** What `onError` was called with. */
  readonly errors: unknown[];
  /** Makes the system call of an operation, whose handler does `act`; all others do what is right. */
  call(op: Called, act?: (request: Request) => unknown): Promise<CallResult>;
}

/** Mounts it, and starts its caller, until the test is over. */
export async function hostile(
  t: ExecutionContext,
  transport: Transport,
  options: MountOptions = {},
): Promise<Hostile> {
  let target: Operation | undefined;
  let act: (request: Request) => unknown = () => undefined;
  const handlers = Object.fromEntries(
    Object.entries(honest).map(([op, handler]) => [
      op,
      (request: Request) =>
        op === target ? act(request) : (handler as (request: Request) => unknown)(request),
    ]),
  );
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const mount = await mounted(t, handlers as Handlers, { ...UNCACHED, transport, onError, ...options });
  const program: PythonProgram = startSystemCalls(PROGRAM, mount.dir);
  t.teardown(async () => {
    program.kill('SIGKILL');
    await program.ended;
  });
  await program.line();
  return {
    ...mount,
    errors,
    async call(op, does) {
      act = does ?? act;
      target = does === undefined ? undefined : op;
      try {
        program.tell(op);
        return JSON.parse(await program.line());
      } finally {
        target = undefined;
      }
    },
  };
}
