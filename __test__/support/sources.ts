/** Directories on filesystems of several kinds, to be the source of a mirror. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { directory } from './mirrors.ts';
import { run } from './programs.ts';

async function mounted(t: ExecutionContext, dir: string, ...args: string[]): Promise<string> {
  await run('mount', [...args, dir]);
  t.teardown(() => run('umount', ['--lazy', dir]));
  return dir;
}

/** Makes a fresh directory on a kind of filesystem. Only root may mount these. */
export const sources: Readonly<Record<string, (t: ExecutionContext) => Promise<string>>> = {
  'the filesystem of /tmp': directory,
  tmpfs: async (t) => mounted(t, await directory(t), '-t', 'tmpfs', '-o', 'mode=0755', 'none'),
  overlayfs: async (t) => {
    const parts = await directory(t);
    const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => join(parts, name));
    for (const part of [lower, upper, work] as string[]) await mkdir(part);
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    return mounted(t, await directory(t), '-t', 'overlay', '-o', options, 'none');
  },
};

/** Why {@link sources} cannot be made here. */
export const sourcesObstacle: string | undefined =
  process.getuid?.() === 0 ? undefined : 'needs root to mount';
