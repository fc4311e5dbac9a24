/** Small Python programs, for system calls that Node.js has no function for. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

/** Why such programs cannot run here; undefined if they can. */
export const noPython: string | undefined =
  spawnSync('python3', ['--version']).status === 0 ? undefined : 'python3 is not installed';

/** How a program ended. */
export interface PythonResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A Python program that runs. */
export interface PythonProgram {
  readonly pid: number;
  /** Resolves when it has printed a line. */
  line(): Promise<string>;
  /** Lets it read a line. */
  tell(text: string): void;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<PythonResult>;
}

/** Starts a program; `sys.argv[1:]` are `args`. */
export function startPython(code: string, ...args: string[]): PythonProgram {
  const child = spawn('python3', ['-u', '-c', code, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let wanted = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }));
  return {
    pid: child.pid ?? 0,
    ended,
    tell: (text) => child.stdin.write(`${text}\n`),
    kill: (signal) => child.kill(signal),
    async line() {
      wanted++;
      for (;;) {
        const lines = stdout.split('\n');
        if (lines.length > wanted) return lines[wanted - 1];
        const end = await Promise.race([once(child.stdout, 'data').then(() => undefined), ended]);
        if (end !== undefined && stdout.split('\n').length <= wanted) {
          throw new Error(`python3 ended with ${end.code ?? end.signal}: ${end.stderr}`);
        }
      }
    },
  };
}

/** Runs a program to its end. */
export function python(code: string, ...args: string[]): Promise<PythonResult> {
  return startPython(code, ...args).ended;
}
