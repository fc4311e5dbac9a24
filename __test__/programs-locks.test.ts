import { memory, memoryMountOptions } from '@ringfuse/fs';
import test, { type ExecutionContext } from 'ava';
import type { Mount } from 'ringfuse';
import { mirrored } from './support/mirrors.ts';
import { mounted } from './support/mounted.ts';
import { noPython } from './support/python.ts';
import { systemCalls } from './support/system-calls.ts';

const PRELUDE = `
OFD_GETLK, OFD_SETLK, OFD_SETLKW = 36, 37, 38
READ, WRITE, UNLOCK = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
NAMES = {READ: 'read', WRITE: 'write', UNLOCK: None}
def lock(fd, kind, start=0, length=0, command=fcntl.F_SETLK):
    data = struct.pack('hhqqi4x', kind, os.SEEK_SET, start, length, 0)
    made = attempt(fcntl.fcntl, fd, command, data)
    return made if isinstance(made, str) else None
def held(fd, kind, start=0, length=0, command=fcntl.F_GETLK):
    data = struct.pack('hhqqi4x', kind, os.SEEK_SET, start, length, 0)
    kind, _, start, length, pid = struct.unpack('hhqqi4x', fcntl.fcntl(fd, command, data))
    return None if kind == UNLOCK else [NAMES[kind], start, length, pid]
def opened(name='file'):
    return os.open(at(name), os.O_RDWR | os.O_CREAT, 0o644)
class Child:
    """Does what it is told to and says what came of it."""
    def __init__(self):
        down, up = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(down[1]); os.close(up[0])
                signal.signal(signal.SIGUSR1, on_signal)
                names = dict(globals())
                for line in os.fdopen(down[0]):
                    value = attempt(eval, line, names)
                    os.write(up[1], (json.dumps(value) + '\\n').encode())
            finally:
                os._exit(0)
        os.close(down[0]); os.close(up[1])
        self.input, self.output = os.fdopen(down[1], 'w', 1), os.fdopen(up[0])
    def begin(self, code):
        self.input.write(code + '\\n')
        return self
    def result(self):
        return json.loads(self.output.readline())
    def do(self, code):
        return self.begin(code).result()
    def waits(self):
        return not select.select([self.output], [], [], 0.2)[0]
    def end(self):
        self.input.write('os._exit(0)\\n')
        os.waitpid(self.pid, 0)
def on_signal(*_):
    raise InterruptedError(errno.EINTR, 'interrupted')
`;

/** Who keeps the locks of a mount. */
const keepers: Readonly<Record<string, (t: ExecutionContext) => Promise<{ dir: string; mount: Mount }>>> = {
  'the kernel keeps the locks': (t) => mounted(t, memory(), memoryMountOptions),
  'memory() keeps the locks': (t) =>
    mounted(t, memory({ locks: true }), {
      ...memoryMountOptions,
      capabilities: ['POSIX_LOCKS', 'FLOCK_LOCKS'],
    }),
  "mirror()'s kernel keeps the locks": (t) => mirrored(t),
};

/** What locks do, whoever keeps them. */
function lockTest(title: string, code: string, expected: unknown): void {
  for (const [keeper, make] of Object.entries(keepers)) {
    const named = `${title} (${keeper})`;
    const body = async (t: ExecutionContext): Promise<void> => {
      const { dir, mount } = await make(t);
      t.deepEqual(await systemCalls(t, PRELUDE + code, dir), expected);
      t.is(mount.capabilities.includes('POSIX_LOCKS'), keeper.startsWith('memory()'));
      t.is(mount.outstanding, 0);
    };
    if (noPython === undefined) test.serial(named, body);
    else test.skip(`${named} (${noPython})`, body);
  }
}

lockTest(
  'record locks keep other processes out of their bytes',
  `
fd, other = opened(), Child()
other.do('globals().update(fd=opened())')
pid = os.getpid()
said = [
  lock(fd, WRITE, 10, 10), other.do('lock(fd, READ, 15, 1)'), other.do('lock(fd, WRITE, 0, 10)'),
  other.do('held(fd, WRITE, 12, 0)')[:3], other.do('held(fd, WRITE, 12, 0)[3]') == pid,
  # Split, in two types, and merged again.
  lock(fd, READ, 13, 2), other.do('lock(fd, READ, 13, 2)'), other.do('lock(fd, READ, 12, 3)'),
  other.do('held(fd, WRITE, 14, 1)')[:3], lock(fd, WRITE, 13, 2),
  other.do('lock(fd, UNLOCK, 13, 2)'), lock(fd, WRITE, 13, 2), other.do('held(fd, READ, 11, 1)')[:3],
  lock(fd, UNLOCK, 12, 5), other.do('[held(fd, READ, n, 1) and held(fd, READ, n, 1)[1:3] for n in (11, 12, 16, 17)]'),
  # To the end, beyond all that the file has.
  lock(fd, READ, 1 << 40, 0), other.do('held(fd, WRITE, 1 << 41, 1)')[:3], lock(fd, WRITE, (1 << 53) - 2, 1),
]
other.end()
say(said)
`,
  [
    null,
    'EAGAIN',
    null,
    ['write', 10, 10],
    true,
    null,
    null,
    'EAGAIN',
    ['read', 13, 2],
    'EAGAIN',
    null,
    null,
    ['write', 10, 10],
    null,
    [[10, 2], null, null, [17, 3]],
    null,
    ['read', 2 ** 40, 0],
    null,
  ],
);

lockTest(
  'record locks end when their process closes the file by any descriptor, or ends',
  `
fd, other = opened(), Child()
lock(fd, WRITE)
before = other.do('globals().update(fd=opened()) or lock(fd, WRITE)')
os.close(os.open(at('file'), os.O_RDONLY))
after = other.do('lock(fd, WRITE)')
kept = lock(fd, READ)
other.end()
say([before, after, kept, lock(fd, READ)])
`,
  ['EAGAIN', null, 'EAGAIN', null],
);

lockTest(
  'locks of open file descriptions conflict within a process, and end with the last descriptor',
  `
one, two = opened(), opened()
copy = os.dup(one)
said = [
  lock(one, WRITE, 0, 9, OFD_SETLK), lock(two, READ, 5, 1, OFD_SETLK), lock(two, READ, 9, 1, OFD_SETLK),
  held(two, READ, 0, 0, OFD_GETLK), lock(two, WRITE, 3, 1), lock(copy, UNLOCK, 5, 4, OFD_SETLK),
]
os.close(one)
said.append(lock(two, READ, 0, 1, OFD_SETLK))
os.close(copy)
for _ in range(500):
    last = lock(two, READ, 0, 1, OFD_SETLK)
    if last is None:
        break
    time.sleep(0.01)
said.append(last)
say(said)
`,
  [null, 'EAGAIN', null, ['write', 0, 9, -1], 'EAGAIN', null, 'EAGAIN', null],
);

lockTest(
  "flock is the open file description's, and does not see record locks",
  `
def flock(fd, how):
    return attempt(fcntl.flock, fd, how | fcntl.LOCK_NB)
one, two, three = opened(), opened(), opened()
said = [
  flock(one, fcntl.LOCK_EX), flock(two, fcntl.LOCK_SH), lock(two, WRITE), lock(two, UNLOCK),
  flock(one, fcntl.LOCK_SH), flock(two, fcntl.LOCK_SH), flock(one, fcntl.LOCK_EX),
  # The conversion that failed has cost its own lock.
  flock(two, fcntl.LOCK_EX), flock(two, fcntl.LOCK_UN), flock(two, fcntl.LOCK_UN), flock(three, fcntl.LOCK_EX),
]
child = Child()
os.close(three)
said.append(flock(one, fcntl.LOCK_SH))
child.do('os.close(three)')
for _ in range(500):
    last = flock(one, fcntl.LOCK_SH)
    if last is None:
        break
    time.sleep(0.01)
child.end()
say(said + [last])
`,
  [null, 'EAGAIN', null, null, null, null, 'EAGAIN', null, null, null, null, 'EAGAIN', null],
);

lockTest(
  'a lock that is waited for is had when it is free, and a signal ends the wait',
  `
fd, one, two = opened(), Child(), Child()
for child in (one, two):
    child.do('globals().update(fd=opened())')
lock(fd, WRITE)
one.begin('lock(fd, WRITE, 0, 5, fcntl.F_SETLKW)')
two.begin('lock(fd, READ, 5, 5, OFD_SETLKW)')
said = [one.waits(), two.waits()]
lock(fd, UNLOCK, 5, 0)
said += [two.result(), one.waits()]
os.kill(one.pid, signal.SIGUSR1)
said.append(one.result())
one.begin('lock(fd, WRITE, 0, 5, fcntl.F_SETLKW)')
said.append(one.waits())
lock(fd, UNLOCK)
said += [one.result(), lock(fd, READ, 4, 1), lock(fd, READ, 5, 1)]
# flock alike.
fcntl.flock(fd, fcntl.LOCK_EX)
one.begin('attempt(fcntl.flock, fd, fcntl.LOCK_EX)')
said.append(one.waits())
os.kill(one.pid, signal.SIGUSR1)
said.append(one.result())
two.begin('attempt(fcntl.flock, fd, fcntl.LOCK_SH)')
said.append(two.waits())
fcntl.flock(fd, fcntl.LOCK_UN)
said.append(two.result())
one.end(); two.end()
say(said)
`,
  [true, true, null, true, 'EINTR', true, null, 'EAGAIN', null, true, 'EINTR', true, null],
);

lockTest(
  'processes that would wait for each other are told so',
  `
fd, one, two = opened(), Child(), Child()
second = opened('second')
for child in (one, two):
    child.do('globals().update(fd=opened(), second=opened("second"))')
lock(fd, WRITE, 0, 1)
one.do('lock(fd, WRITE, 1, 1)')
two.do('lock(second, WRITE, 0, 1)')
one.begin('lock(second, WRITE, 0, 1, fcntl.F_SETLKW)')
two.begin('lock(fd, WRITE, 0, 1, fcntl.F_SETLKW)')
said = [one.waits(), two.waits(), lock(fd, WRITE, 1, 1, fcntl.F_SETLKW), lock(fd, WRITE, 2, 1, fcntl.F_SETLKW)]
lock(fd, UNLOCK)
said += [two.result(), one.waits()]
two.end()
said.append(one.result())
one.end()
say(said)
`,
  [true, true, 'EDEADLK', null, null, true, null],
);

lockTest(
  'many processes that lock in turn lose no count',
  `
fd = opened('count')
os.write(fd, b'0')
def count():
    fd = opened('count')
    for _ in range(100):
        lock(fd, WRITE, 0, 1, fcntl.F_SETLKW)
        seen = int(os.pread(fd, 10, 0))
        os.pwrite(fd, b'%d' % (seen + 1), 0)
        lock(fd, UNLOCK, 0, 1)
children = [Child().begin('count()') for _ in range(6)]
for child in children:
    child.result()
    child.end()
say(int(os.pread(fd, 10, 0)))
`,
  600,
);
