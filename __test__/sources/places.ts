/** Filesystems of several kinds, made for a test and gone afterwards: what a mirror lies on, or is compared with. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RunningCommand } from '../support/command.ts';

const exec = promisify(execFile);

/** Bytes of an image. xfs takes no less than 300 MB. */
const SIZE = 512 << 20;

/** How an image is made, and how it is mounted. */
const FORMATS = {
  ext4: [['mkfs.ext4', '-q', '-F'], 'loop'],
  xfs: [['mkfs.xfs', '-q', '-f'], 'loop'],
  // It has neither owners nor modes: everybody may do everything.
  vfat: [['mkfs.vfat', '-F', '32'], 'loop,umask=0'],
} as const;

/** A kind of filesystem in which files can be made. */
export type PlaceKind = keyof typeof FORMATS | 'tmpfs' | 'ramfs' | 'overlay' | 'fuse';

/** All of them. */
export const placeKinds: readonly PlaceKind[] = [
  ...['ext4', 'xfs', 'vfat', 'tmpfs', 'ramfs', 'overlay', 'fuse'],
] as readonly PlaceKind[];

/** Why there can be no such filesystem here; undefined if there can. */
export function placeMissing(kind: PlaceKind): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  if (kind === 'fuse') return undefined;
  const known = readFileSync('/proc/filesystems', 'utf8').split(/\s/);
  return known.includes(kind) ? undefined : `this kernel has no ${kind}`;
}

/** Mounts a filesystem of a kind on `root`; what it needs lies in `scratch`. Resolves to a function that unmounts it. */
async function make(kind: PlaceKind, root: string, scratch: string): Promise<() => Promise<void>> {
  const unmount = async (): Promise<void> => {
    await exec('umount', [root]);
  };
  if (kind === 'fuse') return makeFuse(root);
  if (kind === 'tmpfs' || kind === 'ramfs') {
    await exec('mount', ['-t', kind, 'none', root]);
  } else if (kind === 'overlay') {
    const parts = ['lowerdir', 'upperdir', 'workdir'].map((name) => [name, join(scratch, name)]);
    for (const [, path] of parts) await mkdir(path);
    const options = parts.map((part) => part.join('=')).join();
    await exec('mount', ['-t', 'overlay', '-o', options, 'none', root]);
  } else {
    const [[command, ...args], options] = FORMATS[kind];
    const image = join(scratch, 'image');
    await writeFile(image, '');
    await truncate(image, SIZE);
    await exec(command, [...args, image]);
    await exec('mount', ['-o', options, image, root]);
  }
  return unmount;
}

/** Another FUSE filesystem, which a process of its own serves. */
async function makeFuse(root: string): Promise<() => Promise<void>> {
  const command = new RunningCommand('mount', 'memory', root, '--allow-other');
  const end = (): void => command.kill('SIGTERM');
  process.once('exit', end);
  if ((await command.firstLine) === undefined) throw new Error((await command.ended).stderr);
  await exec('mount', ['--internal-only', '-o', 'remount,suid,dev', root]);
  return async () => {
    process.off('exit', end);
    end();
    const { code, stderr } = await command.ended;
    if (code !== 0) throw new Error(`ringfuse mount ended with ${code}: ${stderr}`);
  };
}

/** Gives `body` the root of a fresh filesystem that everybody may enter. */
export async function withPlace<T>(kind: PlaceKind, body: (root: string) => Promise<T>): Promise<T> {
  const scratch = await mkdtemp(join(tmpdir(), 'ringfuse-place-'));
  const root = join(scratch, 'root');
  await chmod(scratch, 0o755);
  await mkdir(root);
  const unmount = await make(kind, root, scratch);
  let result: T;
  try {
    await chmod(root, 0o755);
    result = await body(root);
  } finally {
    await unmount();
  }
  await rm(scratch, { recursive: true });
  return result;
}
