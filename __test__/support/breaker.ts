/**
 * A program whose mount breaks: `breaker.js DIR TRANSPORT HOW THREADS`, with `HOW` as in `breaking.ts`, and `workers` or
 * `one` for the threads. It prints as JSON what became known of the end.
 */

import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mount, serve, type Transport } from 'ringfuse';
import { type Break, breaking } from './breaking.ts';
import { cat, type Outcome, stat } from './callers.ts';
import { UNCACHED } from './sandbox.ts';

const [dir, transport, how, threads] = process.argv.slice(2);
const module = new URL('breaking.js', import.meta.url);
/** A handler may be busy: the loop takes the next request all the same. */
const UNHURRIED = { polling: { loopTurn: 1000 } };
const codeOf = (error: unknown): string => (error as { code: string }).code;

/** Reads the file; meanwhile others use slots that were not used before, whose memory may be in the same buffer. */
async function callers(): Promise<Outcome> {
  let reads = true;
  const ended = cat(join(dir, 'file')).ended.finally(() => {
    reads = false;
  });
  while (reads && (how === 'early transfer' || how === 'transfer between')) {
    for (let count = 0; count < 8; count++) void stat(join(dir, 'file')).ended.catch(() => undefined);
    await sleep(200);
  }
  return ended;
}

async function run(onError?: (error: unknown) => void) {
  const workers = threads === 'workers' ? { workers: { module, count: 1, data: how } } : {};
  const options = {
    ...UNCACHED,
    ...UNHURRIED,
    transport: transport as Transport,
    ...workers,
    ...(onError && { onError }),
  };
  const fs = await mount(dir, options);
  const served = serve(fs, breaking(how as Break)).then(() => 'resolved', codeOf);
  const caller = (await callers()).code;
  return { caller, served: await served, fs };
}

const errors: unknown[] = [];
const { caller, served, fs } = await run((error) => errors.push(error));
const closed = await fs.closed.then(() => 'resolved', codeOf);
const isError = await fs.closed.catch((error) => error instanceof Error && error.message !== '');

// Nobody looks at `closed`, nor has an `onError`: that is no unhandled rejection.
const warnings: unknown[] = [];
process.on('warning', (warning) => warnings.push(codeOf(warning)));
if (threads === 'one') {
  await run();
} else {
  // A mount with workers is not iterated over.
  const options = { ...UNCACHED, ...UNHURRIED, transport: transport as Transport };
  const unwatched = await mount(dir, { ...options, workers: { module, count: 1, data: how } });
  const warned = once(process, 'warning');
  await callers();
  await warned;
  await unwatched.destroy();
}
await sleep(20);
console.log(JSON.stringify({ caller, served, closed, isError, errors: errors.map(codeOf), warnings }));
