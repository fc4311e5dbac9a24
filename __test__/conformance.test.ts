import test, { type ExecutionContext } from 'ava';
import {
  isInstalled,
  runFsx,
  runPjdfstest,
  type Suite,
  variants,
  withFilesystem,
} from './support/conformance.ts';
import { runStress } from './support/stress.ts';

/** Operations of fsx: `npm run conformance` does many more. */
const OPERATIONS = 4000;

/** Seconds of stress-ng. */
const SECONDS = 4;

/** A test that needs a suite; skipped where it cannot run, and its title says why. */
function suiteTest(suite: Suite, title: string, body: (t: ExecutionContext) => Promise<void>): void {
  const reasons = [
    ...(isInstalled(suite) ? [] : [`${suite} could not be installed`]),
    ...(process.getuid?.() === 0 ? [] : ['not root']),
  ];
  if (reasons.length > 0) test.skip(`${title} (${reasons.join(', ')})`, body);
  else test.serial(title, body);
}

// A run over the other transport has the other transport's variant.
for (const variant of variants.filter(({ options }) => options.transport === undefined)) {
  suiteTest('pjdfstest', `pjdfstest passes on ${variant.title}`, async (t) => {
    const { passed, excluded, failures } = await withFilesystem(variant, runPjdfstest);
    t.log(`${passed} passed`);
    for (const { name, reason } of excluded) t.log(`excluded ${name}: ${reason}`);
    t.deepEqual(failures, []);
    t.true(passed > 390);
  });

  if (variant.title.startsWith('memory()')) {
    suiteTest('stress-ng', `stress-ng fails nothing and leaks nothing on ${variant.title}`, async (t) => {
      const stressors = await withFilesystem(variant, (dir) => runStress(dir, SECONDS, variant.mappable));
      t.true(stressors > 40);
    });
  }

  for (const mapped of variant.mappable ? [false, true] : [false]) {
    const how = mapped ? 'reading, writing and mapping' : 'reading and writing';
    suiteTest('fsx', `fsx finds every byte on ${variant.title}, ${how}`, async (t) => {
      await t.notThrowsAsync(
        withFilesystem(variant, (dir) => runFsx(dir, { operations: OPERATIONS, seed: 1, mapped })),
      );
    });
  }
}
