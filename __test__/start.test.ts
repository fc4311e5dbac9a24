import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { cloneMissing, makeClone } from './support/clone.ts';
import { mountpoint } from './support/mounted.ts';
import { isMounted } from './support/mounts.ts';
import { overBoth, transport } from './support/transports.ts';

/** Milliseconds that everything may take, from a clone where cargo has built nothing. */
const LONGEST = 600_000;

/** `npm start` as a terminal runs it: in a process group of its own, which Ctrl-C is for. */
class Start {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown[]>;
  #output = '';

  constructor(cwd: string, ...args: string[]) {
    this.#child = spawn('npm', ['start', ...args], {
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#exit = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
  }

  /** Where it says that it is mounted. */
  async announced(): Promise<string> {
    for await (const line of createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })) {
      const [, dir, how] = /^ringfuse: mounted (\S+) \((\w+)/.exec(line) ?? [];
      if (dir !== undefined && how === transport) return dir;
    }
    throw new Error(`npm start has mounted nothing over ${transport}:\n${this.#output}`);
  }

  /** Sends a signal to the whole group; resolves to the exit code when it has ended. */
  async end(signal: NodeJS.Signals): Promise<unknown> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, signal);
    const [code] = await this.#exit;
    return code;
  }
}

/** Uses what `npm start` mounts, and ends it as Ctrl-C does. Resolves to where it was. */
async function startAndStop(t: ExecutionContext, clone: string, ...args: string[]): Promise<string> {
  const start = new Start(clone, ...args);
  t.teardown(() => start.end('SIGKILL'));
  const dir = await start.announced();
  t.regex(await readFile(join(dir, 'README.txt'), 'utf8'), new RegExp(`^ {2}cd ${dir}$`, 'm'));
  await writeFile(join(dir, 'note.txt'), 'hello from a test\n');
  t.is(await readFile(join(dir, 'note.txt'), 'utf8'), 'hello from a test\n');

  t.is(await start.end('SIGINT'), 0);
  t.false(await isMounted(dir));
  return dir;
}

overBoth(
  'npm start in a fresh clone builds, serves where it says, and leaves nothing after Ctrl-C',
  async (t) => {
    t.timeout(LONGEST);
    const clone = makeClone();
    t.false(existsSync(await startAndStop(t, clone)), 'its own directory is gone');

    const dir = await mountpoint(t);
    t.is(await startAndStop(t, clone, '--', dir), dir);
    t.true(existsSync(dir), 'a directory that was given stays');
  },
  cloneMissing,
);
