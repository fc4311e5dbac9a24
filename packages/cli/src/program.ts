/** The commands of `ringfuse`. What one needs is loaded when it runs, so that `doctor` needs nothing. */

import { Command } from 'commander';
import { addMount } from './mount.ts';

/** Makes the whole command. It throws a `CommanderError` instead of ending the process. */
export function createProgram(version: string): Command {
  const program = new Command('ringfuse')
    .description('Linux filesystems in Node.js, over FUSE-over-io_uring.')
    .version(version)
    .exitOverride();
  addMount(program);
  addDoctor(program);
  return program;
}

function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('See whether this machine can mount over FUSE-over-io_uring, and what to do if not.')
    .option('--json', 'print the findings as JSON')
    .action(async ({ json = false }: { json?: boolean }) => {
      const { doctor } = await import('ringfuse/doctor');
      await doctor(json);
    });
}
