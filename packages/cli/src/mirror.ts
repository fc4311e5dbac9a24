/** `ringfuse mount mirror SOURCE DIR`. */

import type { MirrorOptions } from '@ringfuse/fs';
import { type Command, InvalidArgumentError } from 'commander';
import type { Filesystem } from './foreground.ts';
import { addShared, type MountFlags, mountOptions, parseCount, run } from './mount-command.ts';

/** Its own flags. */
interface MirrorFlags extends MountFlags {
  readonly timeout?: number;
  readonly passthrough: boolean;
  readonly writeback?: boolean;
  readonly kernelFilesystems?: boolean;
  readonly workers?: number | true;
}

/** The options as `mirror()` has them. */
export function mirrorOptions(flags: MirrorFlags): MirrorOptions {
  const { cache, timeout, passthrough, writeback, kernelFilesystems } = flags;
  const allowed = kernelFilesystems ? { kernelFilesystems } : {};
  if (cache === 'none') return { timeout: 0, directIo: true, ...allowed };
  return { timeout, writeback, ...(passthrough ? {} : { passthrough }), ...allowed };
}

/** Adds the subcommand. */
export function addMirror(mount: Command): void {
  addShared(mount.command('mirror'))
    .description('A directory of this machine.')
    .argument('<source>', 'the directory to show')
    .argument('<dir>', 'the directory to mount it on')
    .option(
      '--timeout <seconds>',
      'for how long the kernel may answer from what it knows (default: 1)',
      parseSeconds,
    )
    .option('--no-passthrough', 'let no file be read and written by the kernel itself')
    .option('--writeback', 'let writes stay in the page cache and come later')
    .option(
      '--kernel-filesystems',
      "mirror procfs, sysfs and their like too: with the server's rights for all who may open their files",
    )
    .option('--workers [n]', 'serve in worker threads (default: one for each CPU)', parseCount)
    .action(async (source: string, dir: string, flags: MirrorFlags) => {
      await run(dir, await makeMirror(source, flags));
    });
}

async function makeMirror(path: string, flags: MirrorFlags): Promise<Filesystem> {
  const { mirror } = await import('@ringfuse/fs');
  const { serve } = await import('ringfuse');
  const { timeout, passthrough, writeback, kernelFilesystems, workers, ...shared } = flags;
  const source = mirror(path, mirrorOptions(flags));
  const options = mountOptions(source.mountOptions, shared);
  if (workers === undefined) return { options, serve: (fs) => serve(fs, source.handlers(fs)) };
  const count = workers === true ? {} : { count: workers };
  return {
    options: { ...options, workers: source.workers(count) },
    serve: (fs) => fs.closed.finally(() => source.close()),
  };
}

function parseSeconds(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It must be a number of seconds from 0.');
  return Number(text);
}
