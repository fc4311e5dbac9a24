/** Programs that use a mount, in processes of their own: what they see of it, and when. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a caller saw in the end. */
export interface Outcome {
  /** What it read. */
  readonly output: string;
  /** The errno's name that its system call failed with; undefined if it did not fail. */
  readonly code: string | undefined;
  /** Milliseconds that it ran. */
  readonly milliseconds: number;
}

/** The words of `strerror(3)` for what mounts answer. */
const codes: readonly (readonly [message: string, code: string])[] = [
  ['Software caused connection abort', 'ECONNABORTED'],
  ['Transport endpoint is not connected', 'ENOTCONN'],
  ['Operation canceled', 'ECANCELED'],
  ['Input/output error', 'EIO'],
  ['Permission denied', 'EACCES'],
  ['No such file or directory', 'ENOENT'],
  ['Function not implemented', 'ENOSYS'],
  ['Connection timed out', 'ETIMEDOUT'],
];

/** A program that uses a mount. */
export class Caller {
  readonly #child: ChildProcess;
  /** Resolves when the program has ended. */
  readonly ended: Promise<Outcome>;

  constructor(command: string, ...args: string[]) {
    const started = performance.now();
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('latin1').on('data', (text: string) => {
      errors += text;
    });
    this.#child = child;
    this.ended = once(child, 'close').then(([status]) => {
      const found = codes.find(([message]) => errors.includes(message))?.[1];
      if (status !== null && status !== 0 && found === undefined)
        throw new Error(`${command} ended with ${status}: ${errors}`);
      return { output, code: found, milliseconds: performance.now() - started };
    });
  }

  /** The program's process id. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends a signal. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Reads a file, as `cat` does. */
export function cat(path: string): Caller {
  return new Caller('cat', path);
}

/** Asks for a file's attributes, as `stat` does. */
export function stat(path: string): Caller {
  return new Caller('stat', '--cached=never', '--format=%n', path);
}

/** Asks for a file's size, which nothing but the filesystem knows. */
export function size(path: string): Caller {
  return new Caller('stat', '--cached=never', '--format=%s', path);
}

/** Opens a file and keeps it open until `SIGTERM`. It has no more to do with the mount meanwhile. */
export function hold(path: string): Caller {
  return new Caller('tail', '--follow', '--bytes=0', path);
}
