/** Random system calls of several processes and users at once: the Python program of this folder, on a mount. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { abortConnection, connectionOf } from '../support/connections.ts';

/** Compiled, this is in `build/__test__/fuzz`. */
const program = fileURLToPath(new URL('../../../__test__/fuzz', import.meta.url));

/** Seconds for the end of all processes, after which the connection is aborted. */
const GRACE = 30;

/** What is run. */
export interface Fuzzing {
  readonly seed: number;
  readonly seconds: number;
  /** Whether the mount is ended meanwhile: the processes have to end then. */
  readonly untilGone?: boolean;
  /** Is called once the processes run. */
  readonly onStarted?: () => void;
}

/** Runs it to its end. Rejects if the filesystem failed, or a process did not end. */
export async function fuzz(
  dir: string,
  { seed, seconds, untilGone = false, onStarted }: Fuzzing,
): Promise<void> {
  const connection = await connectionOf(dir);
  const args = [program, dir, '--seed', `${seed}`, '--seconds', `${seconds}`];
  const child = spawn('python3', [...args, ...(untilGone ? ['--until-gone'] : [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  if (onStarted !== undefined) child.stdout.once('data', onStarted);
  const timer = setTimeout(
    () => {
      output += `no end after ${seconds + GRACE} s; the connection is aborted`;
      abortConnection(connection).catch(() => undefined);
      child.kill('SIGKILL');
    },
    (seconds + GRACE) * 1000,
  );
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  if (code !== 0) throw new Error(`seed ${seed}: ${signal ?? `exit code ${code}`}: ${output}`);
}
