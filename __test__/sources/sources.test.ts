import { runDifferential } from '../differential/differential.ts';
import { variants } from '../support/conformance.ts';
import { noPython } from '../support/python.ts';
import { testUnless } from '../support/transports.ts';
import { placeKinds, placeMissing } from './places.ts';

/** Seconds of random system calls on each kind. */
const SECONDS = 3;

const seed = Number(process.env.RINGFUSE_TEST_SEED ?? Date.now() % 2 ** 31);
const names = { fuse: 'another FUSE filesystem', overlay: 'overlayfs' } as Readonly<Record<string, string>>;
const [variant] = variants.filter(({ title }) => title === 'mirror() with passthrough');

for (const reference of placeKinds) {
  testUnless(
    placeMissing(reference) ?? noPython,
    `random system calls do on a mirror of ${names[reference] ?? reference} what they do directly`,
    async (t) => {
      t.log(`seed ${seed}`);
      t.log(await runDifferential({ variant, reference }, { seed, operations: 1e6, seconds: SECONDS }));
      t.pass();
    },
  );
}
