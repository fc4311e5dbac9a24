/** A clone of this repository, as a newcomer has it: what git tracks, and nothing that was built. */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Beside what it is cloned from, so that npm packages can be links. What cargo built in it stays for the next time. */
const CLONE = join('target', 'clone');

/** The files that git tracks and that are there; why they are not known, where it cannot say. */
function trackedFiles(): { readonly files: readonly string[]; readonly missing?: string } {
  try {
    const list = execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8', stdio: 'pipe' });
    return { files: list.split('\0').filter((file) => file !== '' && existsSync(file)) };
  } catch (error) {
    return { files: [], missing: `git ls-files: ${(error as Error).message.trim().split('\n').pop()}` };
  }
}

const { files, missing } = trackedFiles();

/** Why there can be no clone, if so. */
export const cloneMissing: string | undefined = missing;

/**
 * Makes the clone, with the npm packages that are installed here, and returns its path. Times of files are kept: cargo
 * goes by them.
 */
export function makeClone(): string {
  mkdirSync(CLONE, { recursive: true });
  for (const name of readdirSync(CLONE)) {
    if (name !== 'target') rmSync(join(CLONE, name), { recursive: true });
  }
  for (const file of files)
    cpSync(file, join(CLONE, file), { preserveTimestamps: true, verbatimSymlinks: true });
  execFileSync('cp', ['--archive', '--link', 'node_modules', CLONE]);
  return CLONE;
}
