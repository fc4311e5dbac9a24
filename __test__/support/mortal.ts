/**
 * A program that mounts the sandbox and ends as it is told: `mortal.js DIR TRANSPORT main|careless|worker`. The thread
 * that serves does what the name says that somebody looks up; a careless one leaves signals alone. With a worker, the
 * main thread does what standard input says, and prints how the worker ended.
 */

import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { type Handlers, mount, serve, type Transport } from 'ringfuse';
import { sandbox, UNCACHED } from './sandbox.ts';

const [dir, transport, where] = process.argv.slice(2);

/** How the serving thread's end begins. */
const endings: { readonly [name: string]: () => void } = {
  exit: () => process.exit(3),
  throw: () =>
    void setImmediate(() => {
      throw new Error('nobody catches this');
    }),
  spawn: () => void spawn('true', { cwd: dir, stdio: 'ignore' }),
  reject: () => void Promise.reject(new Error('nobody handles this')),
};

async function serveSandbox(): Promise<void> {
  const fs = await mount(dir, {
    ...UNCACHED,
    transport: transport as Transport,
    handleSignals: where === 'main',
  });
  const lookup: Handlers['lookup'] = (request) => {
    endings[request.name]?.();
    if (request.name === 'unref') fs.unref();
    if (request.name === 'close') void fs.close();
    return handlers.lookup?.(request);
  };
  const handlers = sandbox();
  // Asked of itself by a mount whose slots are all held: it must not matter that it gets no answer.
  const statfs: Handlers['statfs'] = () => new Promise<never>(() => undefined);
  const served = serve(fs, { ...handlers, lookup, statfs });
  if (parentPort === null) console.log('mounted');
  else parentPort.postMessage('mounted');
  await served;
}

function descriptors(): string[] {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link === '/dev/fuse' || link.includes('io_uring'));
}

function superviseWorker(): void {
  const worker = new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) });
  worker.on('message', (message) => console.log(message));
  worker.on('error', (error) => console.log(`worker: ${error.message}`));
  worker.on('exit', (code) => {
    console.log(`worker ended with ${code}, descriptors: ${descriptors().join(' ')}`);
    commands.close();
  });
  const commands = createInterface(process.stdin).on('line', (command) => {
    if (command === 'terminate') void worker.terminate();
    if (command === 'exit') process.exit(4);
  });
}

if (isMainThread && where === 'worker') superviseWorker();
else await serveSandbox();
