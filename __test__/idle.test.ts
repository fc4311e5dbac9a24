/** A mount costs nothing while nobody uses it, or nobody can be served. */

import { setTimeout as sleep } from 'node:timers/promises';
import { cat, stat } from './support/callers.ts';
import { mounted } from './support/mounted.ts';
import { sandbox, UNCACHED } from './support/sandbox.ts';
import { overBoth } from './support/transports.ts';

/** Share of a CPU that this process uses in so many milliseconds. */
async function share(milliseconds: number): Promise<number> {
  const before = process.cpuUsage();
  await sleep(milliseconds);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / milliseconds;
}

/** What the test runner and the garbage collector may use. */
const NEXT_TO_NOTHING = 0.05;

overBoth('an idle mount uses no CPU, also after requests that came close together', async (t, transport) => {
  const { path } = await mounted(t, sandbox(), { ...UNCACHED, transport });
  for (let round = 0; round < 20; round++) await cat(path('file')).ended;
  await sleep(50);
  const used = await share(2000);
  t.log(`${(used * 100).toFixed(1)} % of a CPU`);
  t.true(used < NEXT_TO_NOTHING);
});

overBoth(
  'requests that wait for a slot use no CPU, and are served when one is free',
  async (t, transport) => {
    const waiting: (() => void)[] = [];
    const handlers = sandbox({
      lookup: () => new Promise((resolve) => waiting.push(() => resolve(null))),
    });
    const { path, mount: fs } = await mounted(t, handlers, { ...UNCACHED, transport, queueDepth: 2 });
    const callers = Array.from({ length: 12 }, (_, index) => stat(path(`name-${index}`)));
    await sleep(200);
    const used = await share(1000);
    t.log(
      `${(used * 100).toFixed(1)} % of a CPU while ${fs.outstanding} of ${callers.length} requests are held`,
    );
    t.true(used < NEXT_TO_NOTHING);
    t.true(fs.outstanding < callers.length, 'there are more requests than slots');
    t.true(fs.outstanding >= 2);
    let answered = 0;
    while (answered < callers.length) {
      for (const answer of waiting.splice(0)) {
        answer();
        answered++;
      }
      await sleep(5);
    }
    for (const { ended } of callers) t.is((await ended).code, 'ENOENT');
  },
);
