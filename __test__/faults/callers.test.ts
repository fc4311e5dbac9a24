/** Callers that are interrupted or killed while they wait, and more of them than there is room for. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { Handlers, LookupRequest, MountOptions, Transport } from 'ringfuse';
import { Caller, stat } from '../support/callers.ts';
import { ANSWERED, type Fault, faultTest } from '../support/faults.ts';
import { type Mounted, mounted } from '../support/mounted.ts';
import { noPython } from '../support/python.ts';
import { CONTENTS, sandbox, UNCACHED } from '../support/sandbox.ts';
import { startSystemCalls } from '../support/system-calls.ts';

/** A caller that was killed sees nothing more; what is asserted is that it ends. */
const KILLED = 'the signal';

const fault = (kind: 'caller' | 'load', name: string, ...callers: readonly string[]): Fault => ({
  kind,
  name,
  callers,
  within: 1500,
  left: 'the mount',
});

/** A mount whose lookups are held until they are answered, the oldest first. */
interface Holding extends Mounted {
  readonly held: LookupRequest[];
  /** Resolves when so many were held so far. */
  untilHeld(count: number): Promise<void>;
  /** Answers all that are held, and those to come, that there is no such name. */
  answerAll(): void;
}

async function holding(
  t: ExecutionContext,
  transport: Transport,
  options: MountOptions = {},
  onHeld: (request: LookupRequest) => void = () => undefined,
): Promise<Holding> {
  const held: LookupRequest[] = [];
  let answering = false;
  const lookup: Handlers['lookup'] = (request) => {
    held.push(request);
    if (answering) return null;
    onHeld(request);
    return new Promise(() => undefined);
  };
  const mount = await mounted(t, sandbox({ lookup }), { ...UNCACHED, transport, ...options });
  return {
    ...mount,
    held,
    async untilHeld(count) {
      for (const end = Date.now() + 5000; held.length < count; await sleep(5)) {
        if (Date.now() > end) throw new Error(`${held.length} of ${count} requests came`);
      }
    },
    answerAll() {
      answering = true;
      for (const request of held) if (!request.replied) request.fail('ENOENT');
    },
  };
}

/** Looks a name up on one CPU: its request comes in that CPU's queue. */
function pinned(path: string): Caller {
  return new Caller('taskset', '--cpu-list', '0', 'stat', '--cached=never', '--format=%n', path);
}

const killed = (caller: Caller): Promise<{ code: string }> => caller.ended.then(() => ({ code: KILLED }));

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  faultTest(
    fault('caller', `${signal} of a caller whose request is in a handler, which then answers EINTR`, KILLED),
    async (t, transport, watch) => {
      const {
        dir,
        path,
        mount: fs,
        held,
        untilHeld,
        answerAll,
      } = await holding(t, transport, {}, (request) => {
        request.signal.addEventListener('abort', () => request.fail('EINTR'));
      });
      const caller = stat(path('name'));
      await untilHeld(1);
      watch.begin();
      caller.kill(signal);
      await watch.see(killed(caller));
      t.is(held[0].signal.reason.code, 'EINTR');
      t.is(fs.outstanding, 0);
      answerAll();
      await watch.left(dir);
      t.is(fs.stats().refusedReplies, 0);
    },
  );
}

faultTest(
  fault('caller', 'SIGKILL of a caller whose request is in a handler that answers 300 ms later', KILLED),
  async (t, transport, watch) => {
    const { dir, path, mount: fs, held, untilHeld, answerAll } = await holding(t, transport);
    const caller = stat(path('name'));
    await untilHeld(1);
    watch.begin();
    caller.kill('SIGKILL');
    // The kernel lets no caller go whose request a handler has.
    t.is(await Promise.race([caller.ended.then(() => 'gone'), sleep(300, 'waiting')]), 'waiting');
    t.true(held[0].signal.aborted);
    answerAll();
    await watch.see(killed(caller));
    await watch.left(dir);
    t.is(fs.stats().refusedReplies, 0);
  },
);

faultTest(
  fault('caller', 'SIGKILL of callers whose requests wait in the kernel for a slot', KILLED),
  async (t, transport, watch) => {
    const {
      dir,
      path,
      mount: fs,
      held,
      untilHeld,
      answerAll,
    } = await holding(t, transport, { queueDepth: 1 });
    const first = pinned(path('first'));
    await untilHeld(1);
    const waiting = Array.from({ length: 4 }, (_, index) => pinned(path(`waiting-${index}`)));
    await sleep(200);
    t.is(held.length, 1);
    watch.begin();
    for (const caller of waiting) caller.kill('SIGKILL');
    await watch.see(...waiting.map(killed));
    answerAll();
    t.is((await first.ended).code, 'ENOENT');
    t.is(held.length, 1, 'no handler saw their requests');
    await watch.left(dir);
    t.is(fs.outstanding, 0);
  },
);

faultTest(
  fault('load', '40 requests of one CPU at once, with 2 slots', 'ENOENT'),
  async (t, transport, watch) => {
    const {
      dir,
      path,
      held,
      untilHeld,
      answerAll,
      mount: fs,
    } = await holding(t, transport, { queueDepth: 2 });
    const callers = Array.from({ length: 40 }, (_, index) => pinned(path(`name-${index}`)));
    await untilHeld(2);
    await sleep(200);
    t.true(held.length < callers.length, 'some wait in the kernel');
    watch.begin();
    answerAll();
    await watch.see(...callers.map(({ ended }) => ended));
    await watch.left(dir);
    t.is(fs.outstanding, 0);
  },
);

faultTest(
  fault(
    'load',
    '40 requests of one CPU, one after the other, none of which is answered: the next one',
    'ENOENT',
  ),
  async (t, transport, watch) => {
    const { dir, path, untilHeld, answerAll } = await holding(t, transport, { queueDepth: 64 });
    const callers: Caller[] = [];
    for (let index = 0; index < 40; index++) {
      callers.push(pinned(path(`name-${index}`)));
      await untilHeld(callers.length);
    }
    watch.begin();
    answerAll();
    await watch.see(...callers.map(({ ended }) => ended));
    await watch.left(dir);
  },
);

faultTest(
  fault(
    'load',
    '30 requests of one CPU while the event loop is busy, more than there are slots at first',
    'ENOENT',
  ),
  async (t, transport, watch) => {
    const { dir, path, held, untilHeld, answerAll } = await holding(t, transport, { queueDepth: 64 });
    const callers = Array.from({ length: 30 }, (_, index) => pinned(path(`name-${index}`)));
    // They all get to the kernel before this thread takes the first of them.
    for (const end = Date.now() + 700; Date.now() < end; );
    await untilHeld(8);
    await sleep(300);
    // Over the ring the slots that are added then do not fetch what waits already: replies do.
    t.log(`${held.length} of ${callers.length} are in handlers before the first reply`);
    watch.begin();
    answerAll();
    await watch.see(...callers.map(({ ended }) => ended));
    await watch.left(dir);
  },
);

faultTest(
  fault('load', 'programs are started while it serves: their descriptors', ANSWERED),
  async (t, transport, watch) => {
    const { dir, path, mount: fs } = await mounted(t, sandbox(), { ...UNCACHED, transport });
    watch.begin();
    const lists = Array.from(
      { length: 8 },
      () => new Caller('sh', '-c', 'ls -l /proc/self/fd; stat "$1"', 'sh', path('file')),
    );
    await watch.see(...lists.map(({ ended }) => ended));
    for (const { ended } of lists) t.notRegex((await ended).output, /\/dev\/fuse|io_uring/);
    await watch.left(dir);
    t.is(fs.outstanding, 0);
  },
);

/** Uses the mount while the process that serves it can open nothing more. */
const WITHOUT_DESCRIPTORS = `
import resource
server = os.getppid()
usual = resource.prlimit(server, resource.RLIMIT_NOFILE)
resource.prlimit(server, resource.RLIMIT_NOFILE, (3, usual[1]))
try:
    say([open(at('file')).read() for _ in range(8)])
finally:
    resource.prlimit(server, resource.RLIMIT_NOFILE, usual)
`;

faultTest(
  fault('load', 'the process that serves has no descriptor left (RLIMIT_NOFILE)', ANSWERED),
  async (t, transport, watch) => {
    const { dir } = await mounted(t, sandbox(), { ...UNCACHED, transport });
    watch.begin();
    const program = startSystemCalls(WITHOUT_DESCRIPTORS, dir);
    const { code, stdout, stderr } = await watch.inTime('the program', program.ended);
    t.deepEqual([code, stderr], [0, '']);
    t.deepEqual(JSON.parse(stdout), new Array(8).fill(CONTENTS.toString()));
    await watch.see(Promise.resolve({ code: undefined }));
    await watch.left(dir);
  },
  { missing: noPython },
);

/** Looks up so many names, each once. */
const NAMES = 200;
const LOOK_UP = 'i=0; while [ $i -lt $2 ]; do [ ! -e "$1/name-$i" ] || exit 1; i=$((i+1)); done';

faultTest(
  { ...fault('load', 'resend() again and again, under load', ANSWERED), within: 20_000 },
  async (t, transport, watch) => {
    const seen = new Map<string, number>();
    const lookup: Handlers['lookup'] = async ({ name }) => {
      seen.set(name, (seen.get(name) ?? 0) + 1);
      await sleep(1);
      return null;
    };
    const { dir, mount: fs } = await mounted(t, sandbox({ lookup }), { ...UNCACHED, transport });
    watch.begin();
    const caller = new Caller('sh', '-c', LOOK_UP, 'sh', dir, String(NAMES));
    let done = false;
    let resends = 0;
    const resending = (async () => {
      for (; !done; resends++) await Promise.all([fs.notify.resend(), sleep(1)]);
    })();
    await watch.see(caller.ended);
    done = true;
    await resending;
    t.is(seen.size, NAMES);
    const doubled = [...seen.values()].filter((count) => count > 1).length;
    const { refusedReplies } = fs.stats();
    t.log(
      `${resends} resends; ${doubled} of ${NAMES} requests came twice, ${refusedReplies} replies were refused`,
    );
    // The kernel takes the reply to a request that it has marked to be sent again for one that it does not know, and
    // sends it again. Only what is read from /dev/fuse is marked.
    if (transport === 'io_uring') t.deepEqual([doubled, refusedReplies], [0, 0]);
    await watch.left(dir);
  },
);
