/**
 * `npm run conformance [-- --operations N] [--seed N] [--seconds N] [--suite NAME] [--variant TEXT]`: prepares
 * everything and runs pjdfstest, fsx, stress-ng and the differential tester on `memory()` and `mirror()`, with each way
 * of caching and on each transport, and pjdfstest and the differential tester on mirrors of filesystems of all kinds
 * (`sources`); or the one suite, or the variants whose titles have the text in them. The operations are those of fsx and
 * of the differential tester, for each variant. Ends with 1 if anything fails that is not excluded.
 */

import { parseArgs } from 'node:util';
import { Leftovers } from './leftovers.mjs';
import { prepare } from './prepare.mjs';
import { enableRing } from './ring-switch.mjs';
import { isRoot, main, say, whole } from './run.mjs';
import { removeStaleMounts } from './stale-mounts.mjs';
import { installTestPrograms } from './test-programs.mjs';

/** Milliseconds after which a suite hangs: its mounts are aborted then. A million operations of fsx take a part of it. */
const DEADLINE = 4 * 3600_000;

await main(async () => {
  const { values } = parseArgs({
    options: {
      operations: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
      seconds: { type: 'string', default: '60' },
      suite: { type: 'string' },
      variant: { type: 'string', default: '' },
    },
  });
  const operations = whole('operations', values.operations);
  const seed = whole('seed', values.seed);
  const seconds = whole('seconds', values.seconds);
  if (!isRoot) throw new Error('pjdfstest acts as several users: run this as root');

  prepare();
  await removeStaleMounts();
  enableRing();
  installTestPrograms();
  const suites = await import('../build/__test__/support/conformance.js');
  const { runStress } = await import('../build/__test__/support/stress.js');
  const { pairs, runDifferential, titleOf } = await import('../build/__test__/differential/differential.js');
  const { comparePjdfstestOn } = await import('../build/__test__/sources/comparing.js');
  const { placeKinds, placeMissing } = await import('../build/__test__/sources/places.js');

  const leftovers = new Leftovers();
  let failed = 0;

  /** Runs one suite and says how it went. */
  const run = async (title, body) => {
    say(`${title} …`);
    const started = performance.now();
    const timer = setTimeout(() => leftovers.end(), DEADLINE);
    try {
      console.log(`  ${await body()} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    } catch (error) {
      console.log(`  FAILED    ${error.message}`);
      failed += 1;
    } finally {
      clearTimeout(timer);
    }
    const lines = await leftovers.lines();
    for (const line of lines) console.log(`  FAILED    left behind: ${line}`);
    failed += lines.length;
    if (lines.length > 0) leftovers.end();
  };

  const pjdfstest = async (dir) => {
    const { passed, excluded, failures } = await suites.runPjdfstest(dir);
    for (const { name, reason } of excluded) console.log(`  excluded  ${name}: ${reason}`);
    for (const { name, detail } of failures) console.log(`  FAILED    ${name}: ${detail}`);
    if (failures.length > 0) throw new Error(`${failures.length} of ${passed + failures.length}`);
    return `${passed} passed, ${excluded.length} excluded,`;
  };

  const differential = (pair) =>
    run(`differential, ${titleOf(pair)}, seed ${seed}`, () => runDifferential(pair, { seed, operations }));

  const onSource = async (kind, variant) => {
    const { passed, directly, failures } = await comparePjdfstestOn(kind, variant);
    if (failures.length > 0) throw new Error(failures.join('; '));
    return `${passed} passed, ${directly} do not pass directly,`;
  };

  const variants = suites.variants.filter(({ title }) => title.includes(values.variant));
  if (variants.length === 0) throw new Error(`--variant ${values.variant}: no title has this in it`);
  for (const variant of variants) {
    const on = (body) => suites.withFilesystem(variant, body);
    const all = {
      pjdfstest: () => run(`pjdfstest, ${variant.title}`, () => on(pjdfstest)),
      fsx: async () => {
        for (const mapped of variant.mappable ? [false, true] : [false]) {
          const how = `${operations} operations, seed ${seed}, ${mapped ? 'with' : 'without'} mmap`;
          const fsx = (dir) => suites.runFsx(dir, { operations, seed, mapped });
          await run(`fsx, ${variant.title}, ${how}`, () => on(fsx).then(() => 'passed'));
        }
      },
      'stress-ng': () =>
        run(`stress-ng, ${variant.title}, ${seconds} seconds`, () =>
          on((dir) => runStress(dir, seconds, variant.mappable)).then((count) => `${count} stressors passed`),
        ),
      differential: async () => {
        for (const pair of pairs.filter((pair) => pair.variant === variant)) await differential(pair);
      },
      sources: async () => {
        if (!variant.title.startsWith('mirror()')) return;
        for (const reference of placeKinds) {
          const missing = placeMissing(reference);
          if (missing !== undefined) {
            say(`skipped: mirrors of ${reference} (${missing})`);
            continue;
          }
          await run(`pjdfstest, ${variant.title}, of ${reference}`, () => onSource(reference, variant));
          await differential({ variant, reference });
        }
      },
    };
    for (const [name, suite] of Object.entries(all)) {
      if ((values.suite ?? name) !== name) continue;
      if (name !== 'sources' && !suites.isInstalled(name)) throw new Error(`${name} could not be installed`);
      await suite();
    }
  }
  if (failed > 0) throw new Error(`${failed} failed`);
  say('all of it passed');
});
