/** `ringfuse mount FILESYSTEM DIR`: the options that all filesystems share, and the filesystems. */

import { Command, InvalidArgumentError, Option } from 'commander';
import type { Handlers, MountOptions } from 'ringfuse';

/** The options as the command line has them. */
export interface MountFlags {
  readonly transport: 'auto' | 'io_uring' | 'dev_fuse';
  readonly cache: 'none' | 'default';
  readonly queueDepth?: number;
  readonly allowOther?: boolean;
  readonly defaultPermissions?: boolean;
  readonly readOnly?: boolean;
}

/** The options as `mount()` has them; absent where the library's default is meant. */
export function mountOptions({ cache, ...flags }: MountFlags): MountOptions {
  return cache === 'none' ? { ...flags, entryTimeout: 0, attrTimeout: 0, directIo: true } : flags;
}

/** Makes `ringfuse mount`, with a subcommand for each filesystem. */
export function mountCommand(): Command {
  const mount = new Command('mount').description('Mount a filesystem and serve it until it is unmounted.');
  return mount.addCommand(
    filesystemCommand('memory', 'A filesystem in memory: empty at first, gone at the end.', async () => {
      const { memory } = await import('@ringfuse/fs');
      return memory();
    }),
  );
}

function filesystemCommand(name: string, description: string, make: () => Promise<Handlers>): Command {
  return new Command(name)
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
    .action(async (dir: string, flags: MountFlags) => {
      const { serveInForeground } = await import('./foreground.ts');
      await serveInForeground(dir, await make(), mountOptions(flags), console.log);
    });
}

function parseCount(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}
