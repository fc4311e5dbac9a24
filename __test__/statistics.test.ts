import { setTimeout as sleep } from 'node:timers/promises';
import type { Handlers, Operation, Request } from 'ringfuse';
import { cat, stat } from './support/callers.ts';
import { mounted } from './support/mounted.ts';
import { CONTENTS, sandbox, UNCACHED } from './support/sandbox.ts';
import { overBoth } from './support/transports.ts';

const ROUNDS = 10;

/** The handlers, and how often each was called. */
function counted(handlers: Handlers): { counting: Handlers; calls: Map<Operation, number> } {
  const calls = new Map<Operation, number>();
  const counting = Object.entries(handlers).map(([op, handler]) => [
    op,
    (request: Request) => {
      calls.set(request.op, (calls.get(request.op) ?? 0) + 1);
      return (handler as (request: Request) => unknown)(request);
    },
  ]);
  return { counting: Object.fromEntries(counting), calls };
}

overBoth('requests by the ring and by /dev/fuse are counted apart', async (t, transport) => {
  let forgotten = 0;
  let ino = 2;
  const { counting, calls } = counted(
    sandbox({
      // A name whose node is another one each time: the kernel forgets the last one.
      lookup: () => ({ ino: ino++, attr: { mode: 0o100644, size: CONTENTS.length } }),
      read: ({ offset }) => CONTENTS.subarray(offset),
      forget: ({ forgets }) => {
        for (const { nlookup } of forgets) forgotten += nlookup;
      },
      open: () => undefined,
      release: () => undefined,
      flush: () => undefined,
    }),
  );
  const { path, mount: fs } = await mounted(t, counting, { ...UNCACHED, transport });
  t.is(fs.transport, transport);
  t.is(fs.transportReason === undefined, transport === 'io_uring');
  for (let round = 0; round < ROUNDS; round++) {
    t.is((await cat(path('file')).ended).output, CONTENTS.toString());
    await stat(path('file')).ended;
  }
  // Nobody waits for these: they are sent when the kernel comes to it.
  while (forgotten < ROUNDS || calls.get('release') !== ROUNDS) await sleep(10);
  await fs.close();

  const stats = fs.stats();
  t.log(JSON.stringify(stats));
  const called = [...calls].reduce((sum, [op, count]) => (op === 'forget' ? sum : sum + count), 0);
  const forgets = calls.get('forget') ?? 0;
  t.true(called >= 60);
  if (transport === 'io_uring') {
    t.is(stats.ringRequests, called);
    t.is(stats.deviceRequests, forgets);
    t.true(stats.enters > 0);
  } else {
    t.is(stats.ringRequests, 0);
    t.is(stats.deviceRequests, called + forgets);
    t.is(stats.enters, 0);
  }
  t.true(stats.forgetRequests >= forgets);
  t.is(stats.replies, called);
  t.is(stats.refusedReplies, 0);
  t.is(stats.malformed, 0);
  t.is(stats.interrupts, 0);
  t.true(stats.batches > 0 && stats.batches <= called + forgets);
});
