/** `ringfuse mount FILESYSTEM DIR`. */

import type { Command } from 'commander';
import { addMirror } from './mirror.ts';
import { addShared, type MountFlags, mountOptions, run } from './mount-command.ts';

/** Adds `mount`, with a subcommand for each filesystem. */
export function addMount(program: Command): void {
  const mount = program
    .command('mount')
    .description('Mount a filesystem and serve it until it is unmounted.');
  addShared(mount.command('memory'))
    .description('A filesystem in memory: empty at first, gone at the end.')
    .argument('<dir>', 'the directory to mount it on')
    .action(async (dir: string, flags: MountFlags) => {
      const { memory, memoryMountOptions } = await import('@ringfuse/fs');
      const { serve } = await import('ringfuse');
      await run(dir, {
        options: mountOptions(memoryMountOptions, flags),
        serve: (fs) => serve(fs, memory()),
      });
    });
  addMirror(mount);
}
