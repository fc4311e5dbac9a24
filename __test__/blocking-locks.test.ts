import test, { type ExecutionContext } from 'ava';
import type { Attributes, Handlers, SetlkwRequest, Transport } from 'ringfuse';
import { mounted } from './support/mounted.ts';
import { noPython, startPython } from './support/python.ts';
import { overBoth, transport } from './support/transports.ts';

const WAITERS = 12;
const QUEUE_DEPTH = 2;

/** Locks the whole file on CPU 0, says so, and unlocks when it is told to. */
const LOCKER = `
import fcntl, os, sys
os.sched_setaffinity(0, {0})
file = open(sys.argv[1], 'r+b')
fcntl.lockf(file, fcntl.LOCK_EX)
print('locked')
sys.stdin.readline()
fcntl.lockf(file, fcntl.LOCK_UN)
print('unlocked')
`;

/** One file that one owner at a time can lock. */
class LockedFile implements Handlers {
  readonly #waiting: { request: SetlkwRequest; granted: () => void }[] = [];
  #owner: bigint | undefined;
  #noticeWaiter: () => void = () => undefined;

  lookup() {
    return { ino: 2, attr: this.#attr(2) };
  }

  getattr({ ino }: { ino: number }) {
    return { attr: this.#attr(ino) };
  }

  setlkw(request: SetlkwRequest): Promise<void> | undefined {
    if (this.#owner === undefined) {
      this.#owner = request.owner;
      return undefined;
    }
    return new Promise((granted) => {
      this.#waiting.push({ request, granted });
      this.#noticeWaiter();
    });
  }

  setlk({ owner }: { owner: bigint }): void {
    if (this.#owner !== owner) return;
    const next = this.#waiting.shift();
    this.#owner = next?.request.owner;
    next?.granted();
  }

  /** Resolves when so many wait. */
  async untilWaiting(count: number): Promise<void> {
    while (this.#waiting.length < count) {
      await new Promise<void>((resolve) => {
        this.#noticeWaiter = resolve;
      });
    }
  }

  #attr(ino: number): Attributes {
    return ino === 1 ? { mode: 0o40755, nlink: 2 } : { mode: 0o100644 };
  }
}

async function unlockPasses(t: ExecutionContext, transport: Transport): Promise<void> {
  const file = new LockedFile();
  const { path } = await mounted(t, file, {
    transport,
    queueDepth: QUEUE_DEPTH,
    capabilities: ['POSIX_LOCKS'],
  });
  const holder = startPython(LOCKER, path('file'));
  t.is(await holder.line(), 'locked');
  const waiters = Array.from({ length: WAITERS }, () => startPython(LOCKER, path('file')));
  t.teardown(() => {
    for (const program of [holder, ...waiters]) program.kill('SIGKILL');
  });
  await file.untilWaiting(WAITERS);
  for (const waiter of waiters) waiter.tell('unlock at once');
  holder.tell('unlock');
  const endings = await Promise.all([holder, ...waiters].map(({ ended }) => ended));
  for (const { code, stdout, stderr } of endings) {
    t.deepEqual([code, stdout, stderr], [0, 'locked\nunlocked\n', '']);
  }
}

const title = 'an unlock is served although more locks wait on its CPU than the queue has slots';
if (noPython === undefined) overBoth(title, unlockPasses);
else test.skip(`${title} (${noPython})`, unlockPasses, transport);
