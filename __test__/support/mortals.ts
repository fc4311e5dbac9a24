/** Programs that serve a mount and come to their end: `mortal.ts`, with callers that wait and a load meanwhile. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { Transport } from 'ringfuse';
import { cat, type Outcome, stat } from './callers.ts';
import type { FaultWatch } from './faults.ts';
import { mountpoint } from './mounted.ts';

const MORTAL = fileURLToPath(new URL('mortal.js', import.meta.url));

/** Which thread serves; `careless`: the main thread, without `handleSignals`. */
export type Where = 'main' | 'worker' | 'careless';

/** How a mortal ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** The program in `mortal.ts`. */
export class Mortal {
  readonly #child: ChildProcess;
  readonly ended: Promise<Ending>;
  readonly mounted: Promise<unknown>;

  constructor(t: ExecutionContext, dir: string, transport: Transport, where: Where) {
    const child = spawn(process.execPath, [MORTAL, dir, transport, where], { stdio: 'pipe' });
    t.teardown(() => child.kill('SIGKILL'));
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    this.#child = child;
    this.mounted = Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
    this.ended = once(child, 'close').then(([code, signal]) => ({ code, signal, output, errors }));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Tells the main thread beside a worker what to do. */
  tell(command: 'terminate' | 'exit'): void {
    this.#child.stdin?.write(`${command}\n`);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** A mortal, and callers: one whose request no handler answers, and some that read again and again. */
export interface Scene {
  readonly dir: string;
  readonly mortal: Mortal;
  /** The caller that waits. */
  readonly waiting: Promise<Outcome>;
  /** The last read of each of those that read again and again: the one that failed. */
  readonly load: readonly Promise<Outcome>[];
  /** Looks a name up: the mortal does what it says. */
  look(name: string): Promise<Outcome>;
}

/** Sets the scene, with so many readers. */
export async function withCallers(
  t: ExecutionContext,
  transport: Transport,
  where: Where,
  readers = 4,
): Promise<Scene> {
  const dir = await mountpoint(t);
  const mortal = new Mortal(t, dir, transport, where);
  await mortal.mounted;
  const waiting = cat(join(dir, 'never'));
  const load = Array.from({ length: readers }, async () => {
    for (;;) {
      const outcome = await cat(join(dir, 'file')).ended;
      if (outcome.code !== undefined) return outcome;
    }
  });
  await sleep(100);
  return { dir, mortal, waiting: waiting.ended, load, look: (name) => stat(join(dir, name)).ended };
}

/** The end comes in time, to callers as well, and no more is left than the row says. */
export async function assertEnded(scene: Scene, watch: FaultWatch): Promise<Ending> {
  const { dir, mortal, waiting, load } = scene;
  const ending = await watch.inTime('the process ends', mortal.ended);
  await watch.see(waiting, ...load);
  await watch.left(dir, mortal.pid);
  return ending;
}
