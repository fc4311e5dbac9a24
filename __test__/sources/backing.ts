/** Filesystems of the machine, made for a test and gone afterwards: what a mirror lies on, or is compared with. */

import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** Bytes of an image. xfs takes no less than 300 MB. */
const SIZE = 512 << 20;

/** How an image is made. */
const FORMATS = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  vfat: ['mkfs.vfat', '-F', '32'],
} as const;

/** A kind of filesystem on a loop device, or one in memory. */
export type BackingKind = keyof typeof FORMATS | 'tmpfs' | 'ramfs' | 'overlay';

/** Makes a filesystem below `scratch` and mounts it. Resolves to what to undo, last first, and its root. */
async function make(kind: BackingKind, scratch: string): Promise<string> {
  const root = join(scratch, 'root');
  await mkdir(root);
  if (kind === 'tmpfs' || kind === 'ramfs') {
    await exec('mount', ['-t', kind, 'none', root]);
  } else if (kind === 'overlay') {
    const options = `lowerdir=${join(scratch, 'lower')},upperdir=${join(scratch, 'upper')},workdir=${join(scratch, 'work')}`;
    for (const name of ['lower', 'upper', 'work']) await mkdir(join(scratch, name));
    await exec('mount', ['-t', 'overlay', '-o', options, 'none', root]);
  } else {
    const [command, ...args] = FORMATS[kind];
    const image = join(scratch, 'image');
    await writeFile(image, '');
    await truncate(image, SIZE);
    await exec(command, [...args, image]);
    await exec('mount', ['-o', 'loop', image, root]);
  }
  await chmod(root, 0o755);
  return root;
}

/** Gives `body` the root of a fresh filesystem that everybody may enter. */
export async function withBacking<T>(kind: BackingKind, body: (root: string) => Promise<T>): Promise<T> {
  const scratch = await mkdtemp(join(tmpdir(), 'ringfuse-backing-'));
  await chmod(scratch, 0o755);
  try {
    const root = await make(kind, scratch);
    try {
      return await body(root);
    } finally {
      await exec('umount', [root]);
    }
  } finally {
    // Never into what is still mounted.
    await rm(join(scratch, 'image'), { force: true });
    await exec('rm', ['-rf', '--one-file-system', scratch]);
  }
}
