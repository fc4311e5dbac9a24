/**
 * `npm run conformance [-- --operations N] [--seed N]`: prepares everything and runs pjdfstest and fsx on
 * `memory()` and `mirror()`, with each way of caching and on each transport. Ends with 1 if anything fails that is not excluded.
 */

import { parseArgs } from 'node:util';
import { installConformanceSuites } from './conformance-suites.mjs';
import { prepare } from './prepare.mjs';
import { enableRing } from './ring-switch.mjs';
import { isRoot, main, say } from './run.mjs';
import { removeStaleMounts } from './stale-mounts.mjs';

/** A whole number of the command line. */
function whole(name, text) {
  if (!/^\d+$/.test(text)) throw new Error(`--${name} ${text}: a whole number is meant`);
  return Number(text);
}

await main(async () => {
  const { values } = parseArgs({
    options: {
      operations: { type: 'string', default: '100000' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
    },
  });
  const operations = whole('operations', values.operations);
  const seed = whole('seed', values.seed);
  if (!isRoot) throw new Error('pjdfstest acts as several users: run this as root');

  prepare();
  removeStaleMounts();
  enableRing();
  if (!installConformanceSuites()) throw new Error('there is nothing to run');
  const suites = await import('../build/__test__/support/conformance.js');

  let failed = 0;
  for (const variant of suites.variants) {
    say(`pjdfstest, ${variant.title} …`);
    const { passed, excluded, failures } = await suites.withFilesystem(variant, suites.runPjdfstest);
    for (const { name, detail } of failures) console.log(`  FAILED    ${name}: ${detail}`);
    for (const { name, reason } of excluded) console.log(`  excluded  ${name}: ${reason}`);
    console.log(`  ${passed} passed, ${failures.length} failed, ${excluded.length} excluded`);
    failed += failures.length;
  }
  for (const variant of suites.variants) {
    for (const mapped of variant.mappable ? [false, true] : [false]) {
      const how = `${operations} operations, seed ${seed}, ${mapped ? 'with' : 'without'} mmap`;
      say(`fsx, ${variant.title}, ${how} …`);
      const started = performance.now();
      try {
        await suites.withFilesystem(variant, (dir) => suites.runFsx(dir, { operations, seed, mapped }));
        console.log(`  passed in ${((performance.now() - started) / 1000).toFixed(1)} s`);
      } catch (error) {
        console.log(`  FAILED    ${error.message}`);
        failed += 1;
      }
    }
  }
  if (failed > 0) throw new Error(`${failed} failed`);
  say('all of it passed');
});
