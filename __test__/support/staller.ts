/**
 * A program that serves a mount and does to it what must not be done: `staller.js DIR TRANSPORT ON_STALL WHAT`. With
 * `default` as ON_STALL it says nothing of stalls to the mount. It prints what came of it and how long it took, whether the mount goes on, and how it ended.
 */

import { execSync, spawn } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { mount, type OnStall, type Stall, serve, type Transport } from 'ringfuse';
import { sandbox, UNCACHED } from './sandbox.ts';

/** Milliseconds until a stall is reported. */
export const STALL_TIMEOUT = 500;

const [dir, transport, onStall, what] = process.argv.slice(2);
const file = join(dir, 'file');

const wait = (milliseconds: number): string => {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
  return 'nothing';
};

/** What a thread that serves a mount can do to it. */
const deeds: { readonly [what: string]: () => unknown } = {
  'fs.readFileSync': () => readFileSync(file, 'utf8'),
  'fs.statSync': () => statSync(file).size,
  'fs.readdirSync': () => readdirSync(dir).length,
  execSync: () => execSync(`cat ${file}`, { encoding: 'utf8', stdio: 'pipe' }),
  'spawn with cwd': async () => {
    const [code] = await once(spawn('true', { cwd: dir, stdio: 'ignore' }), 'exit');
    return `exit code ${code}`;
  },
  'a long computation': () => wait(4 * STALL_TIMEOUT),
  'an endless loop': () => wait(Number.POSITIVE_INFINITY),
  'Atomics.wait': () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4 * STALL_TIMEOUT),
  // Of a worker: see `self-worker.ts`.
  'a worker': async () => (await stat(join(dir, 'self'))).size,
  nothing: () => new Promise((resolve) => setTimeout(resolve, 4 * STALL_TIMEOUT, 'nothing')),
};

subscribe('ringfuse:stall', (stall) => {
  const { cause, outcome, callers, requests } = stall as Stall;
  const programs = callers.map(({ program, call }) => `${program} in ${call}`);
  say('told', `${cause}, ${outcome}, ${programs.join('; ')}, ${requests.map(({ op }) => op).join(' ')}`);
});

function say(what: string, text: unknown): void {
  console.log(`${what}: ${text}`);
}

async function attempt(deed: () => unknown): Promise<string> {
  try {
    return String(await deed()).trim();
  } catch (error) {
    const { code, message, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    return stderr?.trim() || (code ?? message);
  }
}

const fs = await mount(dir, {
  ...UNCACHED,
  transport: transport as Transport,
  ...(what === 'a worker'
    ? { workers: { module: new URL('self-worker.js', import.meta.url), data: dir } }
    : {}),
  ...(onStall === 'default' ? {} : { onStall: onStall as OnStall, stallTimeout: STALL_TIMEOUT }),
});
const handlers = sandbox({ statfs: () => undefined as never });
const served = serve(fs, what === 'a worker' ? {} : handlers).then(
  () => 'ended',
  ({ code }) => code,
);
say('mounted', fs.transport);
await once(process.stdin, 'data');
const began = performance.now();
say('deed', await attempt(deeds[what]));
say('milliseconds', Math.round(performance.now() - began));
// What the watchdog had to say comes by the event loop, and whoever waited is served to the end.
await new Promise((resolve) => setTimeout(resolve, 1000));
say('afterwards', await attempt(async () => (await stat(file)).size));
say('stalls', fs.stats().stalls);
await fs.destroy();
say('mount', await served);
