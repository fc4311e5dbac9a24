/** `ringfuse mount FILESYSTEM DIR`: the options that all filesystems share, and the filesystems. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Handlers, MountOptions } from 'ringfuse';

/** The options as the command line has them. */
export interface MountFlags {
  readonly transport: 'auto' | 'io_uring' | 'dev_fuse';
  readonly cache: 'none' | 'default';
  readonly queueDepth?: number;
  readonly allowOther?: boolean;
  readonly defaultPermissions?: boolean;
  readonly readOnly?: boolean;
  readonly autoUnmount?: boolean;
  readonly replaceStale?: boolean;
}

/** What a filesystem's command serves, and the options that suit it where the flags say nothing else. */
interface Filesystem {
  readonly handlers: Handlers;
  readonly options: MountOptions;
}

/** The options as `mount()` has them: those of the filesystem, but for what the flags say. */
export function mountOptions(own: MountOptions, { cache, ...flags }: MountFlags): MountOptions {
  const uncached = cache === 'none' ? { entryTimeout: 0, attrTimeout: 0, directIo: true } : {};
  return { ...own, defaultPermissions: false, ...uncached, ...flags };
}

/** Adds `mount`, with a subcommand for each filesystem. */
export function addMount(program: Command): void {
  const mount = program
    .command('mount')
    .description('Mount a filesystem and serve it until it is unmounted.');
  addFilesystem(mount, 'memory', 'A filesystem in memory: empty at first, gone at the end.', async () => {
    const { memory, memoryMountOptions } = await import('@ringfuse/fs');
    return { handlers: memory(), options: memoryMountOptions };
  });
}

function addFilesystem(
  mount: Command,
  name: string,
  description: string,
  make: () => Promise<Filesystem>,
): void {
  mount
    .command(name)
    .description(description)
    .argument('<dir>', 'the directory to mount it on')
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
    .option('--default-permissions', 'let the kernel check permissions by mode, owner and group')
    .option('--read-only', 'refuse all changes')
    .option('--auto-unmount', 'have fusermount3 unmount when this process is gone, however it ended')
    .option('--replace-stale', 'take away a mount there whose server is gone')
    .action(async (dir: string, flags: MountFlags) => {
      const { serveInForeground } = await import('./foreground.ts');
      const { handlers, options } = await make();
      await serveInForeground(dir, handlers, mountOptions(options, flags), console.log);
    });
}

function parseCount(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}
