import { setTimeout as sleep } from 'node:timers/promises';
import { type Handlers, mount, type Operation, type ReadRequest, type Request } from 'ringfuse';
import { stat } from '../support/callers.ts';
import { mounted, mountpoint } from '../support/mounted.ts';
import { noPython } from '../support/python.ts';
import { HANDLE, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';
import { inoOf, noticing, sandbox, UNCACHED } from '../support/sandbox.ts';
import { startSystemCalls, systemCalls } from '../support/system-calls.ts';
import { overBoth } from '../support/transports.ts';

protocolTest(
  'a signal aborts the request of a blocked read, and the caller gets EINTR',
  [
    {
      kind: 'operation',
      name: 'interrupt',
      call: 'read(2), kill(2)',
      result: 'signal aborted with EINTR; EINTR',
    },
  ],
  async (t, transport) => {
    const reasons: unknown[] = [];
    const { dir, recorder, mount } = await recording(t, transport, {
      open: () => ({ fh: HANDLE, openFlags: 1 }),
      read: (request) =>
        new Promise((_, reject) => {
          request.signal.addEventListener('abort', () => {
            reasons.push(request.signal.reason);
            reject(request.signal.reason);
          });
        }),
    });
    const program = startSystemCalls(
      `
def on_signal(*_):
    raise InterruptedError(errno.EINTR, 'interrupted')
signal.signal(signal.SIGUSR1, on_signal)
fd = os.open(at('file'), os.O_RDONLY)
say('reads')
say(attempt(os.read, fd, 10))
`,
      dir,
    );
    t.teardown(() => program.kill('SIGKILL'));
    await program.line();
    await recorder.until('read');
    const begun = Date.now();
    program.kill('SIGUSR1');
    t.is(await program.line(), '"EINTR"');
    t.true(Date.now() - begun < 2000);
    t.like(reasons[0], { code: 'EINTR', name: 'FuseError' });
    t.is(reasons.length, 1);
    t.is(mount.outstanding, 0);
    t.is((await program.ended).code, 0);
  },
  { missing: noPython },
);

/** Interrupts of each thread: `RINGFUSE_INTERRUPTS=2500` makes it 10,000. */
const INTERRUPTS = Number(process.env.RINGFUSE_INTERRUPTS ?? 250);
const THREADS = 4;

/**
 * Children read and are interrupted by an interval timer, at any time between the request's departure and its
 * reply, while another reads whole files. A reply that is lost is a child that hangs; one that is doubled is
 * refused by the kernel, and counted.
 */
const STORM = `
count, children = int(sys.argv[2]), int(sys.argv[3])
def child():
    fd = os.open(at('file'), os.O_RDONLY)
    seen = dict(interrupted=0, read=0)
    class Interrupted(Exception):
        pass
    def on_alarm(*_):
        raise Interrupted()
    signal.signal(signal.SIGALRM, on_alarm)
    turn = 0
    while seen['interrupted'] < count:
        turn += 1
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + turn % 17 * 0.00005)
            data = os.pread(fd, 16, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert data == b'0123456789abcdef', data
            seen['read'] += 1
        except Interrupted:
            seen['interrupted'] += 1
    return seen
pids = []
for n in range(children):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        os.write(w, json.dumps(child()).encode())
        os._exit(0)
    os.close(w)
    pids.append((pid, r))
load = os.fork()
if load == 0:
    fd = os.open(at('other'), os.O_RDONLY)
    while True:
        assert os.pread(fd, 16, 0) == b'0123456789abcdef'
results = [json.loads(os.read(r, 1000)) for _, r in pids]
os.kill(load, signal.SIGKILL)
statuses = [os.waitpid(pid, 0)[1] for pid, _ in pids]
os.waitpid(load, 0)
say([statuses, results])
`;

protocolTest(
  `${INTERRUPTS * THREADS} interrupts under load lose no reply and double none`,
  [
    {
      kind: 'operation',
      name: 'interrupt',
      call: 'pread(2) under setitimer(2), with load beside it',
      result: 'every call ends once',
    },
  ],
  async (t, transport) => {
    let aborted = 0;
    let answered = 0;
    let unexpected = 0;
    const begun = Date.now();
    const read = (request: ReadRequest): Promise<Buffer> | Buffer => {
      answered++;
      const contents = Buffer.from('0123456789abcdef');
      if (request.ino === 5) return contents;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => resolve(contents), answered % 3);
        request.signal.addEventListener('abort', () => {
          aborted++;
          if ((request.signal.reason as { code: string }).code !== 'EINTR') unexpected++;
          clearTimeout(timer);
          reject(request.signal.reason);
        });
      });
    };
    const handlers: Handlers = { open: () => ({ fh: HANDLE, openFlags: 1 }), read };
    const { dir, mount } = await recording(t, transport, handlers);
    const [statuses, results] = (await systemCalls(t, STORM, dir, String(INTERRUPTS), String(THREADS))) as [
      number[],
      { interrupted: number; read: number }[],
    ];
    t.deepEqual(statuses, new Array(THREADS).fill(0));
    t.true(results.every(({ interrupted }) => interrupted === INTERRUPTS));
    t.is(unexpected, 0);
    t.true(aborted > 0);
    const { replies, refusedReplies, interrupts, malformed } = mount.stats();
    t.is(mount.outstanding, 0);
    t.deepEqual([malformed, refusedReplies], [0, 0]);
    t.log(
      `${Date.now() - begun} ms: ${interrupts} interrupts, ${aborted} aborted requests, ${replies} replies`,
    );
  },
  { missing: noPython },
);

overBoth(
  'an interrupt belongs to one request: the next one in its place is not aborted',
  async (t, transport) => {
    let release: () => void = () => undefined;
    const aborted: Operation[] = [];
    const { handlers } = noticing(
      sandbox({
        fallocate: () => undefined,
        // At once they take more slots than there are at first.
        flush: () => sleep(5),
        read: ({ ino }) =>
          ino === inoOf('never')
            ? new Promise((resolve) => {
                release = () => resolve(Buffer.from('released'));
              })
            : 0,
      }),
      ({ op, signal }) => {
        if (signal.aborted) aborted.push(op);
        return false;
      },
    );
    // One request at a time reaches a handler. None does that allocates beyond 2^53: the channel answers EFBIG.
    const options = { ...UNCACHED, transport, maxOutstanding: 1 };
    const { dir, mount } = await mounted(t, handlers, options);
    const program = startSystemCalls(
      `
signal.signal(signal.SIGALRM, lambda *_: None)
file, never = os.open(at('file'), os.O_RDWR), os.open(at('never'), os.O_RDONLY)
os.posix_fallocate(file, 0, 1)  # Linux asks for security.capability, once
reader = threading.Thread(target=lambda: os.pread(never, 8, 0))
reader.start()
say('reads')
sys.stdin.readline()
signal.setitimer(signal.ITIMER_REAL, 0.1)
say(attempt(os.posix_fallocate, file, 2 ** 53, 1))
reader.join()
def close(cpu):
    os.sched_setaffinity(0, [cpu])
    os.close(os.dup(file))
closers = [threading.Thread(target=close, args=[cpu]) for cpu in os.sched_getaffinity(0) for _ in range(12)]
for closer in closers:
    closer.start()
for closer in closers:
    closer.join()
`,
      dir,
    );
    t.teardown(() => program.kill('SIGKILL'));
    await program.line();
    while (mount.outstanding === 0) await sleep(5);
    program.tell('allocate');
    while (mount.stats().interrupts === 0) await sleep(5);
    await sleep(50);
    release();
    t.is(await program.line(), '"EFBIG"');
    t.is((await program.ended).stderr, '');
    t.deepEqual(aborted, []);
  },
  noPython,
);

overBoth(
  'a read that fills the page cache is not interrupted: its caller can only be killed, and the handler goes on',
  async (t, transport) => {
    const aborted: unknown[] = [];
    let release: (contents: Buffer) => void = () => undefined;
    const { handlers, noticed } = noticing(
      sandbox({
        read: ({ signal }) => {
          signal.addEventListener('abort', () => aborted.push(signal.reason));
          return new Promise((resolve) => {
            release = resolve;
          });
        },
      }),
      ({ op }) => op === 'read',
    );
    const { dir, mount } = await mounted(t, handlers, { transport });
    const program = startSystemCalls(
      `
signal.signal(signal.SIGUSR1, lambda *_: None)
fd = os.open(at('file'), os.O_RDONLY)
say('reads')
os.read(fd, 8)
say('read')
`,
      dir,
    );
    t.teardown(() => program.kill('SIGKILL'));
    await program.line();
    await noticed;
    program.kill('SIGUSR1');
    await sleep(200);
    t.deepEqual([mount.stats().interrupts, mount.outstanding], [0, 1]);
    program.kill('SIGKILL');
    t.is((await program.ended).signal, 'SIGKILL');
    t.deepEqual([aborted, mount.outstanding], [[], 1]);
    release(Buffer.from('late'));
  },
  noPython,
);

overBoth(
  'after the deadline of a read that fills the page cache the kernel reads once more: the caller waits twice as long',
  async (t, transport) => {
    const reads: number[] = [];
    const handlers = sandbox({
      read: ({ offset, size }) => {
        reads.push(offset + size);
        return new Promise<never>(() => undefined);
      },
    });
    const { dir, mount } = await mounted(t, handlers, { transport, timeout: { read: 200 } });
    const code = `say(attempt(lambda: os.read(os.open(at('file'), os.O_RDONLY), 8)))`;
    t.is(await systemCalls(t, code, dir), 'ETIMEDOUT');
    t.is(reads.length, 2);
    t.is(mount.stats().timeouts, 2);
  },
  noPython,
);

/** Callers whose requests are held until they are interrupted, and callers that wait behind them. */
const HELD = 8;
const QUICK = 8;

overBoth(
  'a listener of an abort that takes the next request loses no interrupt and no request, and doubles none',
  async (t, transport) => {
    const dir = await mountpoint(t);
    const fs = await mount(dir, { ...UNCACHED, transport, maxOutstanding: HELD });
    t.teardown(() => fs.destroy());
    const requests = fs[Symbol.asyncIterator]();
    const uniques: bigint[] = [];
    const aborted: string[] = [];
    const handle = (request: Request): void => {
      uniques.push(request.unique);
      if (request.op !== 'lookup') {
        request.fail('ENOSYS');
        return;
      }
      const { name, signal } = request;
      if (name.startsWith('quick')) {
        request.reply(null);
        return;
      }
      signal.addEventListener('abort', () => {
        aborted.push(name);
        request.fail('EINTR');
        // The loop waits for a request, too: one of the two gets the next one, the other an error.
        requests.next().then(take, () => undefined);
      });
    };
    const take = ({ value }: IteratorResult<Request, undefined>): void => {
      if (value !== undefined) handle(value);
    };
    const loop = async (): Promise<void> => {
      for (;;) {
        const next = await requests.next();
        if (next.done) return;
        take(next);
      }
    };
    const served = loop();
    const names = Array.from({ length: HELD }, (_, index) => `held${index}`);
    const held = names.map((name) => stat(`${dir}/${name}`));
    while (fs.outstanding < HELD) await sleep(5);
    const quick = Array.from({ length: QUICK }, (_, index) => stat(`${dir}/quick${index}`));
    await sleep(200);
    for (const caller of held) caller.kill('SIGTERM');
    quick.push(...Array.from({ length: QUICK }, (_, index) => stat(`${dir}/quick${QUICK + index}`)));
    // All interrupts, and more requests, come before the next turn.
    for (const end = performance.now() + 300; performance.now() < end; );
    const ended = Promise.all([...held, ...quick].map((caller) => caller.ended));
    const outcomes = await Promise.race([ended, sleep(10_000, undefined)]);
    t.deepEqual(aborted.toSorted(), names);
    t.deepEqual(
      outcomes?.map(({ code }) => code),
      [...new Array(HELD).fill(undefined), ...new Array(2 * QUICK).fill('ENOENT')],
    );
    t.is(new Set(uniques).size, uniques.length);
    await fs.destroy();
    await served;
  },
);
