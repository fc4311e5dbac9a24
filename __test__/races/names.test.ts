import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { MirrorOptions } from '@ringfuse/fs';
import { directory, mirrored } from '../support/mirrors.ts';
import { run } from '../support/programs.ts';
import { noPython } from '../support/python.ts';
import { testUnless } from '../support/transports.ts';

/** Compiled, this is in `build/__test__/races`. */
const program = fileURLToPath(new URL('../../../__test__/races/names.py', import.meta.url));

const SECONDS = 3;
const seed = Number(process.env.RINGFUSE_TEST_SEED ?? Date.now() % 2 ** 31);
const missing = process.getuid?.() === 0 ? noPython : 'not root';

const ways: Readonly<Record<string, MirrorOptions>> = {
  'with passthrough': {},
  'without passthrough': { passthrough: false },
  'with file handles': { descriptors: 0 },
};

for (const [way, options] of Object.entries(ways)) {
  testUnless(
    missing,
    `users who race on names while the source changes get nothing of root's, ${way}`,
    async (t) => {
      const source = await directory(t);
      t.teardown(() => rm(`${source}-outside`, { recursive: true, force: true }));
      const { dir } = await mirrored(t, options, {}, { source });
      t.log(`seed ${seed}`);
      await t.notThrowsAsync(
        run('python3', [program, dir, source, '--seed', `${seed}`, '--seconds', `${SECONDS}`]),
      );
    },
  );
}
