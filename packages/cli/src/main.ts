/** The command line: what there is, and how its errors become exit codes. */

import { createRequire } from 'node:module';
import { CommanderError } from 'commander';
import { createProgram } from './program.ts';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

/** Exit codes: 0 done, 1 the command failed, 2 it was not understood. */
try {
  await createProgram(version).parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    console.error(`ringfuse: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
