/** pjdfstest directly on a directory and through a mirror of it: what only the mirror fails. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { exclusions, pjdfstestOutcomes, type Variant, withFilesystem } from '../support/conformance.ts';
import { type PlaceKind, withPlace } from './places.ts';

/** What came of it. */
export interface Compared {
  /** Tests that pass through the mirror. */
  readonly passed: number;
  /** Tests that fail directly as well: what this filesystem, or this user, cannot. */
  readonly directly: number;
  /** Tests that pass directly and do not through the mirror. */
  readonly failures: readonly string[];
}

/** Runs it on both, each time through the commands that `through` holds. */
export async function comparePjdfstest(
  direct: string,
  mirrored: string,
  through: readonly string[] = [],
): Promise<Compared> {
  const expected = await pjdfstestOutcomes(direct, { through });
  const found = await pjdfstestOutcomes(mirrored, { through });
  const isOk = (name: string): boolean => found.get(name)?.result === 'ok';
  const owed = [...expected].filter(([, { result }]) => result === 'ok').map(([name]) => name);
  return {
    passed: [...found.keys()].filter(isOk).length,
    directly: expected.size - owed.length,
    failures: owed
      .filter((name) => !isOk(name) && !(name in exclusions))
      .map((name) => `${name}: ${found.get(name)?.detail ?? 'was not run'}`),
  };
}

/** The same for a mirror of a fresh filesystem of a kind. */
export function comparePjdfstestOn(kind: PlaceKind, variant: Variant): Promise<Compared> {
  return withPlace(kind, async (root) => {
    const [source, beside] = [join(root, 'source'), join(root, 'beside')];
    await mkdir(source);
    await mkdir(beside);
    const place = { scratch: source, mountOptions: ['suid', 'dev'] };
    return await withFilesystem(variant, (dir) => comparePjdfstest(beside, dir), place);
  });
}
