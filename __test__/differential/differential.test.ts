import test from 'ava';
import { noPython } from '../support/python.ts';
import { pairs, runDifferential, titleOf } from './differential.ts';

/** Seconds for each pair, after which no further run of 2000 operations begins. */
const SECONDS = 3;

/** Another one each time; `npm run conformance -- --suite differential --seed N` repeats it. */
const seed = Number(process.env.RINGFUSE_TEST_SEED ?? Date.now() % 2 ** 31);

const missing = process.getuid?.() === 0 ? noPython : 'not root';

// A run over the other transport has the other transport's variant.
for (const pair of pairs.filter(({ variant }) => variant.options.transport === undefined)) {
  const title = `random system calls do the same on ${titleOf(pair)}`;
  if (missing !== undefined) {
    test.skip(`${title} (${missing})`, () => undefined);
    continue;
  }
  test.serial(title, async (t) => {
    t.log(`seed ${seed}`);
    t.log(await runDifferential(pair, { seed, operations: 1e6, seconds: SECONDS }));
    t.pass();
  });
}
