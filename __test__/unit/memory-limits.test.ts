import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import type { Filled } from '../support/filler.ts';

const FILLER = fileURLToPath(new URL('../support/filler.js', import.meta.url));

const MIB = 2 ** 20;
const SIZE = 24 * MIB;
const INODES = 24 * 1024;

/** A heap of three times what `INODES` stand for. */
const HEAP_MIB = 72;

/** What README.md says: twice the size and 1 KiB for each inode, and what the heap of Node.js takes in any case. */
const MOST = 2 * (SIZE + INODES * 1024) + 16 * MIB;

async function fill(kind: string, size: number): Promise<Filled> {
  const flags = ['--expose-gc', `--max-old-space-size=${HEAP_MIB}`];
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, [...flags, FILLER, kind, `${size}`, `${INODES}`]);
  return JSON.parse(stdout) as Filled;
}

/** Each kind, and what its last one fails with. */
const kinds: Readonly<Record<string, string>> = {
  'empty files with the longest names': 'ENOSPC',
  'files of one byte': 'ENOSPC',
  'files of 600 bytes': 'ENOSPC',
  'sparse files with a byte in each block': 'ENOSPC',
  'sparse files with bytes far from each other': 'ENOSPC',
  'hard links': 'ENOSPC',
  'symbolic links': 'ENOSPC',
  directories: 'ENOSPC',
  'directories whose names were removed': 'ENOSPC',
  'unlinked files that are open': 'ENOSPC',
  'empty extended attributes': 'ENOSPC',
  'extended attributes of a byte': 'ENOSPC',
  'extended attributes with the longest names': 'ENOSPC',
  'access control lists': 'ENOSPC',
  locks: 'ENOLCK',
  'contents that are written and cut off again and again': 'ENOSPC',
};

for (const [kind, code] of Object.entries(kinds)) {
  test.serial(`the limits of memory() bound the memory of the process: ${kind}`, async (t) => {
    const filled = await fill(kind, SIZE);
    t.log(`${filled.made} made, ${Math.round(filled.grown / MIB)} MiB`);
    t.is(filled.code, code);
    t.true(filled.grown < MOST, `${filled.grown} bytes`);
    t.deepEqual(filled.usage, { size: 0, inodes: 1, lookups: 0 });
    t.deepEqual(filled.free, { bfree: SIZE / 4096, ffree: INODES - 1 });
  });
}

test.serial(
  'memory of contents that are removed goes back to the system, but for a rest of 40 MiB',
  async (t) => {
    const { grown, left } = await fill('large files', 400 * MIB);
    t.log(`${Math.round(grown / MIB)} MiB, then ${Math.round(left / MIB)} MiB`);
    t.true(grown > 350 * MIB);
    t.true(left < 64 * MIB);
  },
);
