/** Programs that nobody here wrote, run on a `memory()` filesystem that another process serves. */

import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { RunningCommand } from './command.ts';
import { mountpoint } from './mounted.ts';
import { transport } from './transports.ts';

const exec = promisify(execFile);

/** Milliseconds after which a program is ended: before ava ends the whole file, and what it started stays. */
const TIMEOUT = 60_000;

/** Bytes that a program may print. */
const LONGEST_OUTPUT = 64 << 20;

/** How the kernel is to cache: `none` is direct I/O, and nothing remembered of names and attributes. */
export const caches = ['default', 'none'] as const;

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A test that needs programs; it is skipped where one is missing, and its title says which. */
export function programTest(
  title: string,
  programs: readonly string[],
  body: (t: ExecutionContext) => Promise<void>,
): void {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length > 0) test.skip(`${title} (not installed: ${missing.join(', ')})`, body);
  else test.serial(title, body);
}

/** What a program is run with. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program and resolves to what it printed; rejects with what it complained of if it failed. */
export async function run(
  program: string,
  args: readonly string[],
  { cwd, env }: RunOptions = {},
): Promise<string> {
  const { stdout } = await exec(program, [...args], {
    cwd,
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC', ...env },
    maxBuffer: LONGEST_OUTPUT,
    timeout: TIMEOUT,
    killSignal: 'SIGKILL',
  });
  return stdout;
}

/** Runs a shell script in a directory; it ends at the first command that fails. */
export function shell(cwd: string, script: string, env?: Readonly<Record<string, string>>): Promise<string> {
  return run('sh', ['-euc', script], { cwd, env });
}

/** Makes a directory outside of the mount, removed when the test is over. */
export async function scratch(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'ringfuse-scratch-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/**
 * Runs `ringfuse mount memory` until the test is over, and resolves to its mountpoint. Fails the test if
 * the command does not say that it uses the run's transport, or does not end well.
 */
export async function mountMemory(t: ExecutionContext, ...flags: string[]): Promise<string> {
  const dir = await mountpoint(t);
  const command = new RunningCommand('mount', 'memory', dir, ...flags);
  const end = (): void => command.kill('SIGTERM');
  process.once('exit', end);
  t.teardown(async () => {
    process.off('exit', end);
    end();
    const { code, stderr } = await command.ended;
    if (code !== 0 || stderr !== '') throw new Error(`ringfuse mount memory ended with ${code}: ${stderr}`);
  });
  const line = await command.firstLine;
  if (line === undefined) throw new Error(`ringfuse mount memory: ${(await command.ended).stderr}`);
  t.true(line.startsWith(`ringfuse: mounted ${dir} (${transport}`), line);
  return dir;
}
