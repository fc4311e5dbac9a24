/** What the subcommands of `ringfuse mount` share. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { MountOptions } from 'ringfuse';
import type { Filesystem } from './foreground.ts';

/** The options as the command line has them. */
export interface MountFlags {
  readonly transport: 'auto' | 'io_uring' | 'dev_fuse';
  readonly cache: 'none' | 'default';
  readonly queueDepth?: number;
  readonly allowOther?: boolean;
  readonly readOnly?: boolean;
  readonly autoUnmount?: boolean;
  readonly replaceStale?: boolean;
}

/**
 * The options as `mount()` has them: those of the filesystem, but for what the flags say. Without a page cache, files
 * can be mapped shared all the same where the kernel allows it (Linux 6.6).
 */
export function mountOptions(own: MountOptions, { cache, ...flags }: MountFlags): MountOptions {
  if (cache !== 'none') return { ...own, ...flags };
  const optionalCapabilities = new Set([
    ...(own.optionalCapabilities ?? []),
    'DIRECT_IO_ALLOW_MMAP',
  ] as const);
  return {
    ...own,
    entryTimeout: 0,
    attrTimeout: 0,
    directIo: true,
    optionalCapabilities: [...optionalCapabilities],
    ...flags,
  };
}

/** Mounts, and serves until the end. */
export async function run(dir: string, filesystem: Filesystem): Promise<void> {
  const { serveInForeground } = await import('./foreground.ts');
  await serveInForeground(dir, filesystem, console.log);
}

/** Adds the flags that all filesystems have. */
export function addShared(command: Command): Command {
  return command
    .addOption(
      new Option('--transport <transport>', 'how requests arrive; auto: the ring where the kernel offers it')
        .choices(['auto', 'io_uring', 'dev_fuse'])
        .default('auto'),
    )
    .addOption(
      new Option('--cache <cache>', 'none: nothing is cached, all I/O is direct')
        .choices(['none', 'default'])
        .default('default'),
    )
    .option('--queue-depth <n>', 'requests served at once, for each CPU', parseCount)
    .option('--allow-other', 'let other users in')
    .option('--read-only', 'refuse all changes')
    .option('--auto-unmount', 'have fusermount3 unmount when this process is gone, however it ended')
    .option('--replace-stale', 'take away a mount there whose server is gone');
}

/** A whole number from 1. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}
