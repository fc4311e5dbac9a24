/**
 * The differential tester: the same random system calls on a filesystem of the kernel, whose behavior is right, and on
 * `memory()` or `mirror()`. The Python modules of this folder are the tester; this runs it on a variant.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type PlaceKind, withPlace } from '../sources/places.ts';
import { type Variant, variants, withFilesystem } from '../support/conformance.ts';

/** Compiled, this is in `build/__test__/differential`. */
const repository = new URL('../../../', import.meta.url);
const tester = fileURLToPath(new URL('__test__/differential', repository));

/** Where sequences are kept that end in a difference. */
const kept = fileURLToPath(new URL('target/differences/', repository));

/** What is compared with what. */
export interface Pair {
  readonly variant: Variant;
  /** The reference. A mirror's source is on the same filesystem. */
  readonly reference: PlaceKind;
}

/** Every variant beside ext4; those that do it without much ado beside tmpfs as well. */
export const pairs: readonly Pair[] = [
  ...variants.map((variant) => ({ variant, reference: 'ext4' as PlaceKind })),
  ...variants
    .filter(({ title }) => /default cache|with passthrough/.test(title))
    .map((variant) => ({ variant, reference: 'tmpfs' as PlaceKind })),
];

/** A pair in a title. */
export function titleOf({ variant, reference }: Pair): string {
  return `${variant.title}, beside ${reference}`;
}

/** How long a pair is compared: the first limit that is reached ends it. */
export interface Length {
  /** Of the first run of operations; each further one has the next. */
  readonly seed: number;
  readonly operations: number;
  readonly seconds?: number;
}

/** Milliseconds between the end of its time and the tester's own end, in which it minimises. */
const GRACE = 60_000;

/** Runs the tester to its end; resolves to what it printed, and rejects with that if there is a difference. */
async function execute(args: readonly string[], milliseconds: number | undefined): Promise<string> {
  const child = spawn('python3', [tester, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const timer = milliseconds && setTimeout(() => child.kill('SIGKILL'), milliseconds);
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${signal ?? `exit code ${code}`}: ${output}`);
  return output.trim();
}

/** Compares a pair. Rejects with the operations that end in a difference, and where they are kept for a replay. */
export function runDifferential({ variant, reference }: Pair, length: Length): Promise<string> {
  const { seed, operations, seconds } = length;
  return withPlace(reference, async (root) => {
    const [source, beside] = [join(root, 'source'), join(root, 'beside')];
    await mkdir(source);
    await mkdir(beside);
    const place = { scratch: source, mountOptions: ['suid', 'dev'] };
    return await withFilesystem(
      variant,
      (dir) =>
        execute(
          [
            ...[beside, dir, '--seed', `${seed}`, '--operations', `${operations}`],
            ...(seconds === undefined ? [] : ['--seconds', `${seconds}`, '--minimise', '40']),
            ...(/write-back/.test(variant.title) ? ['--writeback'] : []),
            ...['--keep', join(kept, `${variant.title} ${reference}`.replaceAll(/\W+/g, '-'))],
          ],
          seconds && seconds * 1000 + GRACE,
        ),
      place,
    );
  });
}
