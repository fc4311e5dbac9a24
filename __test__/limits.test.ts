/** A limit on requests in handlers: what is beyond it waits, and is served when one is answered. */

import { setTimeout as sleep } from 'node:timers/promises';
import { cat, stat } from './support/callers.ts';
import { mounted } from './support/mounted.ts';
import { CONTENTS, sandbox, UNCACHED } from './support/sandbox.ts';
import { overBoth } from './support/transports.ts';

overBoth('no more than maxOutstanding requests are in handlers at once', async (t, transport) => {
  const CALLERS = 12;
  const MOST = 3;
  let now = 0;
  let most = 0;
  const handlers = sandbox({
    lookup: async () => {
      most = Math.max(most, ++now);
      await sleep(20);
      now--;
      return null;
    },
  });
  const { path } = await mounted(t, handlers, { ...UNCACHED, transport, maxOutstanding: MOST });
  const callers = Array.from({ length: CALLERS }, (_, index) => stat(path(`name-${index}`)));
  for (const { ended } of callers) t.is((await ended).code, 'ENOENT');
  t.is(most, MOST);
});

overBoth('a handler that never answers holds one slot, not the mount', async (t, transport) => {
  const { path, mount: fs } = await mounted(t, sandbox(), { ...UNCACHED, transport });
  const stuck = cat(path('never'));
  while (fs.outstanding === 0) await sleep(10);
  for (let round = 0; round < 20; round++) {
    t.is((await cat(path('file')).ended).output, CONTENTS.toString());
    t.is(fs.outstanding, 1);
    t.is(fs.stats().outstanding, 1);
  }
  await fs.destroy();
  t.is((await stuck.ended).code, 'ECONNABORTED');
  t.is(fs.outstanding, 0);
});

overBoth('a limit on memory is one on slots, of which each queue has one', async (t, transport) => {
  const MAX_WRITE = 1 << 20;
  const small = await mounted(t, sandbox(), { ...UNCACHED, transport, maxMemory: 1, maxWrite: MAX_WRITE });
  t.is(small.mount.queueDepth, 1);
  t.is((await cat(small.path('file')).ended).output, CONTENTS.toString());
  const queues = transport === 'io_uring' ? small.mount.queues : 1;
  const { slots, slotBytes } = small.mount.stats();
  // One reads /dev/fuse, beside the ring or without it.
  t.true(slots <= queues + 1, `${slots} slots`);
  t.true(slotBytes >= slots * MAX_WRITE && slotBytes <= slots * (MAX_WRITE + 65_536));

  const four = await mounted(t, sandbox(), {
    ...UNCACHED,
    transport,
    maxMemory: 4 * queues * (slotBytes / slots),
    maxWrite: MAX_WRITE,
  });
  t.is(four.mount.queueDepth, 4);
  const free = await mounted(t, sandbox(), { ...UNCACHED, transport });
  t.is(free.mount.queueDepth, 32);
});
