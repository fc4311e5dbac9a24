/**
 * `npm run soak [-- --seconds N] [--seed N] [--transport io_uring|dev_fuse]`: load of real programs on `memory()` with
 * notifications, interrupts, killed programs, and mounts and unmounts in between, half of the time over each
 * transport. Then nothing may be left of it, and everything that was acknowledged must be there. Prints TAP.
 */

import { parseArgs } from 'node:util';
import { announceTests, prepareTests } from './machine.mjs';
import { prepare } from './prepare.mjs';
import { main, say, whole } from './run.mjs';
import { removeStaleMounts } from './stale-mounts.mjs';
import { obstacleTo, TRANSPORTS } from './transports.mjs';

await main(async () => {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '600' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      transport: { type: 'string' },
      // `npm test` has prepared everything, and runs other tests from what was built.
      prepared: { type: 'boolean', default: false },
    },
  });
  const seconds = whole('seconds', values.seconds);
  const seed = whole('seed', values.seed);
  const transports = TRANSPORTS.filter((transport) => (values.transport ?? transport) === transport);
  if (transports.length === 0)
    throw new Error(`--transport ${values.transport}: one of ${TRANSPORTS.join(', ')}`);
  if (!values.prepared) {
    announceTests();
    prepare();
    await removeStaleMounts();
    prepareTests();
  }
  const { soak } = await import('../build/__test__/soak/soak.js');

  let count = 0;
  let failed = 0;
  for (const transport of transports) {
    const obstacle = await obstacleTo(transport);
    if (obstacle !== undefined) {
      console.log(`ok ${++count} - soak over ${transport} # SKIP ${obstacle.check}: ${obstacle.detail}`);
      continue;
    }
    say(`soak over ${transport}, ${seconds / transports.length} s, seed ${seed} …`);
    const started = Date.now();
    for (const { statement, detail, holds } of await soak({
      transport,
      seconds: seconds / transports.length,
      seed,
    })) {
      if (!holds) failed += 1;
      console.log(
        `${holds ? 'ok' : 'not ok'} ${++count} - soak over ${transport}: ${statement}\n#   ${detail}`,
      );
    }
    say(`${((Date.now() - started) / 1000).toFixed(1)} s`);
  }
  if (failed > 0) throw new Error(`${failed} of ${count} do not hold; again with --seed ${seed}`);
});
