/** The memory of a request that the watchdog answers in the place of its thread. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Handlers } from 'ringfuse';
import { cat } from './support/callers.ts';
import { mounted } from './support/mounted.ts';
import { CONTENTS, inoOf, sandbox } from './support/sandbox.ts';
import { overBoth, transport } from './support/transports.ts';

const STALL_TIMEOUT = 300;

/** More than there are slots at first: together they use all of these. */
const READERS = 24;

overBoth(
  'a request that the watchdog answered keeps its memory until its handler has replied',
  async (t) => {
    const length = CONTENTS.length;
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const reasons: unknown[] = [];
    const read: Handlers['read'] = async ({ ino, offset, unsafeBuffer, signal }) => {
      if (offset > 0) return 0;
      if (ino === inoOf('file')) {
        signal.addEventListener('abort', () => reasons.push(signal.reason));
        // The thread is busy while the request waits.
        setTimeout(() => {
          for (const end = performance.now() + 5 * STALL_TIMEOUT; performance.now() < end; );
        });
        await released;
        unsafeBuffer.fill('A');
      } else {
        unsafeBuffer.fill('B');
        if (++others === READERS) release();
        await released;
        // The other handler fills its memory before these reply.
        await sleep(50);
      }
      return length;
    };
    let others = 0;
    const { mount, path } = await mounted(t, sandbox({ read }), {
      transport,
      directIo: true,
      queueDepth: 2 * READERS,
      onStall: 'fail',
      stallTimeout: STALL_TIMEOUT,
    });
    t.is((await cat(path('file')).ended).code, 'ETIMEDOUT');
    while (reasons.length === 0) await sleep(5);
    t.like(reasons, { length: 1, 0: { code: 'ETIMEDOUT' } });
    t.is(mount.outstanding, 1, 'the handler has its memory still');
    const readers = Array.from({ length: READERS }, () => cat(path('never')).ended);
    const outputs = (await Promise.all(readers)).map(({ output }) => output);
    t.deepEqual(outputs, new Array(READERS).fill('B'.repeat(length)));
    while (mount.outstanding > 0) await sleep(5);
    t.is(mount.stats().refusedReplies, 0);
  },
  transport === 'io_uring' ? 'over the ring no request is answered in place' : undefined,
);
