/** Programs that nobody here wrote, run on filesystems that another process serves. */

import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { RunningCommand } from './command.ts';
import { directory } from './mirrors.ts';
import { mountpoint } from './mounted.ts';
import { transport } from './transports.ts';

const exec = promisify(execFile);

/** Milliseconds after which a program is ended: before ava ends the whole file, and what it started stays. */
const TIMEOUT = 60_000;

/** Bytes that a program may print. */
const LONGEST_OUTPUT = 64 << 20;

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

/**
 * A test that needs programs; it is skipped where one is missing, and its title says which, or for another `obstacle`.
 */
export function programTest(
  title: string,
  programs: readonly string[],
  body: (t: ExecutionContext) => Promise<void>,
  obstacle?: string,
): void {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length > 0) test.skip(`${title} (not installed: ${missing.join(', ')})`, body);
  else if (obstacle !== undefined) test.skip(`${title} (${obstacle})`, body);
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

/** A filesystem that programs are run on, served by `ringfuse mount`. */
export class Place {
  readonly filesystem: 'memory' | 'mirror';
  /** How the kernel is to cache: `none` is direct I/O, and nothing remembered of names and attributes. */
  readonly cache: 'default' | 'none';

  constructor(filesystem: Place['filesystem'], cache: Place['cache']) {
    this.filesystem = filesystem;
    this.cache = cache;
  }

  /** For the titles of tests. */
  toString(): string {
    return `${this.filesystem}(), cache ${this.cache}`;
  }

  /** Why a test cannot be run on it: a mirror can what its source can, which a shell script there tries. */
  obstacle(script: string): string | undefined {
    if (this.filesystem === 'memory') return undefined;
    const dir = mkdtempSync(join(tmpdir(), 'ringfuse-source-'));
    try {
      execFileSync('sh', ['-euc', script], { cwd: dir, stdio: 'ignore' });
      return undefined;
    } catch {
      return `the filesystem of ${tmpdir()} cannot: ${script}`;
    } finally {
      rmSync(dir, { recursive: true });
    }
  }

  /**
   * Mounts it, a mirror on a fresh source, until the test is over, and resolves to its mountpoint. Fails the test if
   * the command does not say that it uses the run's transport, or does not end well.
   */
  async mount(t: ExecutionContext, ...flags: string[]): Promise<string> {
    const source = this.filesystem === 'mirror' ? [await directory(t)] : [];
    const dir = await mountpoint(t);
    const command = new RunningCommand(
      'mount',
      this.filesystem,
      ...source,
      dir,
      '--cache',
      this.cache,
      ...flags,
    );
    const end = (): void => command.kill('SIGTERM');
    process.once('exit', end);
    t.teardown(async () => {
      process.off('exit', end);
      end();
      const { code, stderr } = await command.ended;
      if (code !== 0 || stderr !== '') throw new Error(`ringfuse mount ended with ${code}: ${stderr}`);
    });
    const line = await command.firstLine;
    if (line === undefined) throw new Error(`ringfuse mount: ${(await command.ended).stderr}`);
    t.true(line.startsWith(`ringfuse: mounted ${dir} (${transport}`), line);
    return dir;
  }
}

/** Each filesystem with each way of caching. */
export const places: readonly Place[] = (['memory', 'mirror'] as const).flatMap((filesystem) =>
  (['default', 'none'] as const).map((cache) => new Place(filesystem, cache)),
);

/** Each filesystem as users have it. */
export const cachedPlaces: readonly Place[] = places.filter(({ cache }) => cache === 'default');
