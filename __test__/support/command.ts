/** The command `ringfuse` in a process of its own, as a user runs it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** How a command ended. */
export interface Ending {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export class RunningCommand {
  readonly #child: ChildProcess;
  /** Resolves when it has ended. */
  readonly ended: Promise<Ending>;
  /** Resolves to the first line that it prints, or to undefined when it ends without one. */
  readonly firstLine: Promise<string | undefined>;

  /** Runs `ringfuse` with `args`. */
  constructor(...args: string[]) {
    // The doctor tries both transports, of which the run's witness would complain.
    const { RINGFUSE_TEST_TRANSPORT: transport, ...env } = process.env;
    const child = spawn(process.execPath, ['packages/cli/bin/ringfuse.js', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: args[0] === 'doctor' ? env : { ...env, RINGFUSE_TEST_TRANSPORT: transport },
    });
    this.#child = child;
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    this.ended = once(child, 'close').then(([code]) => ({ code, stdout, stderr }));
    this.firstLine = Promise.race([
      once(createInterface(child.stdout), 'line').then(([line]) => line as string),
      this.ended.then(() => undefined),
    ]);
  }

  /** The command's process id. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends a signal. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
