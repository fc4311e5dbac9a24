import type { FileLock, Handlers } from 'ringfuse';
import { noPython } from '../support/python.ts';
import { HANDLE, NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { systemCalls } from '../support/system-calls.ts';

const again = () => Object.assign(new Error('EAGAIN'), { code: 'EAGAIN' });

/** `F_GETLK` and its like on ranges, POSIX and OFD. */
const RECORD_LOCKS = `
fd = os.open(at('file'), os.O_RDWR)
OFD_GETLK, OFD_SETLK, OFD_SETLKW = 36, 37, 38
def lock(command, kind, start, length, pid=0):
    data = struct.pack('hhqqi4x', kind, os.SEEK_SET, start, length, pid)
    made = attempt(fcntl.fcntl, fd, command, data)
    return made if isinstance(made, str) else [*struct.unpack('hhqqi4x', made)]
say([
  os.getpid(),
  lock(fcntl.F_SETLK, fcntl.F_RDLCK, 5, 10), lock(fcntl.F_SETLK, fcntl.F_WRLCK, 100, 1),
  lock(fcntl.F_SETLKW, fcntl.F_WRLCK, 0, 0), lock(fcntl.F_SETLK, fcntl.F_UNLCK, 7, 1),
  lock(fcntl.F_GETLK, fcntl.F_WRLCK, 5, 10), lock(fcntl.F_GETLK, fcntl.F_WRLCK, 1000, 1),
  lock(OFD_SETLK, fcntl.F_WRLCK, 5, 10), lock(OFD_SETLKW, fcntl.F_RDLCK, 50, 0), lock(OFD_GETLK, fcntl.F_WRLCK, 5, 10),
  lock(OFD_SETLK, fcntl.F_UNLCK, 0, 0),
])
os.close(fd)
`;

protocolTest(
  'record locks have range, type and owner; POSIX and open file descriptions lock alike',
  [
    {
      kind: 'operation',
      name: 'getlk',
      call: 'fcntl(2) F_GETLK, F_OFD_GETLK',
      result: 'the lock in the way, or F_UNLCK',
    },
    { kind: 'operation', name: 'setlk', call: 'fcntl(2) F_SETLK, F_OFD_SETLK', result: '0; EAGAIN' },
    { kind: 'operation', name: 'setlkw', call: 'fcntl(2) F_SETLKW, F_OFD_SETLKW', result: '0, also later' },
    { kind: 'capability', name: 'POSIX_LOCKS', call: 'fcntl(2)', result: 'getlk, setlk, setlkw' },
  ],
  async (t, transport) => {
    const held: FileLock = { start: 8, end: Number.POSITIVE_INFINITY, type: 1, pid: 0 };
    const handlers: Handlers = {
      getlk: ({ lock }) => (lock.start < 100 ? held : null),
      setlk({ lock }) {
        if (lock.start === 100) throw again();
      },
      setlkw: () => new Promise((resolve) => setTimeout(resolve, 20)),
    };
    const { dir, of } = await recording(t, transport, handlers, { capabilities: ['POSIX_LOCKS'] });
    const [pid, ...said] = (await systemCalls(t, RECORD_LOCKS, dir)) as unknown[];
    t.deepEqual(said, [
      [0, 0, 5, 10, 0],
      'EAGAIN',
      [1, 0, 0, 0, 0],
      [2, 0, 7, 1, 0],
      [1, 0, 8, 0, 0],
      [2, 0, 1000, 1, 0],
      [1, 0, 5, 10, 0],
      [0, 0, 50, 0, 0],
      // The kernel tells no process of a lock of an open file description's.
      [1, 0, 8, 0, -1],
      [2, 0, 0, 0, 0],
    ]);
    const base = { ino: NODES.file, fh: HANDLE, flock: false };
    const process = of('setlk')[0].owner;
    const description = of('setlkw')[1].owner;
    t.not(process, description);
    const { POSITIVE_INFINITY } = Number;
    t.deepEqual(of('setlk').slice(0, 4), [
      { op: 'setlk', ...base, owner: process, lock: { start: 5, end: 14, type: 0, pid } },
      { op: 'setlk', ...base, owner: process, lock: { start: 100, end: 100, type: 1, pid } },
      { op: 'setlk', ...base, owner: process, lock: { start: 7, end: 7, type: 2, pid: 0 } },
      { op: 'setlk', ...base, owner: description, lock: { start: 5, end: 14, type: 1, pid } },
    ]);
    t.deepEqual(of('setlkw'), [
      { op: 'setlkw', ...base, owner: process, lock: { start: 0, end: POSITIVE_INFINITY, type: 1, pid } },
      {
        op: 'setlkw',
        ...base,
        owner: description,
        lock: { start: 50, end: POSITIVE_INFINITY, type: 0, pid },
      },
    ]);
    t.deepEqual(
      of('getlk').map(({ owner, lock }) => [owner, (lock as FileLock).start, (lock as FileLock).end]),
      [
        [process, 5, 14],
        [process, 1000, 1000],
        [description, 5, 14],
      ],
    );
    // What POSIX locks end with: a flush that names the same owner.
    t.true(of('flush').some(({ lockOwner }) => lockOwner === process));

    const without = await recording(t, transport);
    const local = `say(attempt(fcntl.lockf, os.open(at('file'), os.O_RDWR), fcntl.LOCK_EX))`;
    t.is(await systemCalls(t, local, without.dir), null);
    t.deepEqual(without.of('setlk'), []);
  },
  { missing: noPython },
);

protocolTest(
  'flock is told apart from record locks, waits, and ends with the open file',
  [
    { kind: 'operation', name: 'setlk', call: 'flock(2) LOCK_NB', result: '0; EWOULDBLOCK' },
    { kind: 'operation', name: 'setlkw', call: 'flock(2)', result: '0' },
    {
      kind: 'capability',
      name: 'FLOCK_LOCKS',
      call: 'flock(2)',
      result: 'setlk, setlkw; unlocked by release',
    },
  ],
  async (t, transport) => {
    const program = `
fd = os.open(at('file'), os.O_RDWR)
say([os.getpid(), attempt(fcntl.flock, fd, fcntl.LOCK_SH), attempt(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
     attempt(fcntl.flock, fd, fcntl.LOCK_UN), attempt(fcntl.flock, fd, fcntl.LOCK_SH)])
os.close(fd)
`;
    const { dir, of, recorder } = await recording(
      t,
      transport,
      {
        setlk({ lock }) {
          if (lock.type === 1) throw again();
        },
        setlkw: () => new Promise((resolve) => setTimeout(resolve, 20)),
      },
      { capabilities: ['FLOCK_LOCKS'] },
    );
    const [pid, ...said] = (await systemCalls(t, program, dir)) as unknown[];
    t.deepEqual(said, [null, 'EAGAIN', null, null]);
    const whole = { start: 0, end: Number.POSITIVE_INFINITY, pid };
    const { owner } = of('setlkw')[0];
    const base = { ino: NODES.file, fh: HANDLE, flock: true, owner };
    t.deepEqual(of('setlkw'), [
      { op: 'setlkw', ...base, lock: { ...whole, type: 0 } },
      { op: 'setlkw', ...base, lock: { ...whole, type: 0 } },
    ]);
    t.deepEqual(of('setlk').slice(0, 2), [
      { op: 'setlk', ...base, lock: { ...whole, type: 1 } },
      { op: 'setlk', ...base, lock: { ...whole, type: 2, pid: 0 } },
    ]);
    const released = await recorder.until('release');
    t.is((released.releaseFlags as number) & 2, 2);
    t.is(released.lockOwner, owner);
    const without = await recording(t, transport);
    t.deepEqual(((await systemCalls(t, program, without.dir)) as unknown[]).slice(1), [
      null,
      null,
      null,
      null,
    ]);
    t.deepEqual(without.of('setlk'), []);
  },
  { missing: noPython },
);
