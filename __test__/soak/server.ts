/**
 * The server of a soak: `server.js DIR CYCLED TRANSPORT SEED`. Serves `memory()` on DIR; in between sends
 * notifications, and mounts and unmounts another one on CYCLED.
 */

import { readdirSync, readFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { memory, memoryMountOptions } from '@ringfuse/fs';
import { type FuseError, type Mount, type MountOptions, mount, serve, type Transport } from 'ringfuse';
import { Random } from '../support/random.ts';
import { Ledger } from './ledger.ts';
import type { Command, Report } from './messages.ts';

const [dir, cycled, transport, seed] = process.argv.slice(2);
const random = new Random(Number(seed));

/** Bytes that the filesystem may hold, and slots of a queue: few enough to be all used. */
const SIZE = 1 << 30;
const QUEUE_DEPTH = 16;

/** Milliseconds between notifications, and between cycles, at most. */
const NOTIFICATION_PAUSE = 4;
const CYCLE_PAUSE = 150;

const errors: string[] = [];
const options: MountOptions = {
  ...memoryMountOptions,
  transport: transport as Transport,
  // Some of the programs are of another group.
  allowOther: true,
  queueDepth: QUEUE_DEPTH,
  maxWrite: 256 << 10,
  onError: (error, request) => errors.push(`${request?.op}: ${error}`),
};

let running = false;
let notifications = 0;
let effective = 0;
let cycles = 0;

/** Names of files, to be dropped from the kernel's cache; not of directories, in which somebody may be. */
const names: { parent: number; name: string }[] = [];
const REMEMBERED = 256;
let created = 0;

/** Only files have pages to be retrieved: of another node that is EINVAL. */
function refusedForDirectories(error: FuseError): undefined {
  if (error.code !== 'EINVAL') throw error;
}

/** Sends one notification that changes nothing of what callers see. */
async function notifyOnce({ notify }: Mount, { nodes }: Ledger): Promise<void> {
  const ino = nodes.length === 0 ? 1 : random.of(nodes);
  const offset = random.below(64) * 4096;
  const entry = names.length === 0 ? { parent: 1, name: 'nothing' } : random.of(names);
  const sends: readonly (() => Promise<unknown>)[] = [
    () => notify.invalInode(ino, -1),
    () => notify.invalInode(ino, offset, random.below(1 << 18)),
    () => notify.invalEntry(entry.parent, entry.name),
    () => notify.expireEntry(entry.parent, entry.name),
    () => notify.retrieve(ino, offset, 1 + random.below(1 << 18)).catch(refusedForDirectories),
    () => notify.prune([ino]),
  ];
  notifications++;
  if (await random.of(sends)()) effective++;
}

async function notifyAgainAndAgain(fs: Mount, ledger: Ledger): Promise<void> {
  for (;;) {
    if (running) await notifyOnce(fs, ledger);
    await sleep(random.below(NOTIFICATION_PAUSE + 1));
  }
}

/** Mounts, uses the mount, and ends it in one of the ways. */
async function cycleOnce(): Promise<void> {
  const other = await mount(cycled, options);
  const served = serve(other, memory({ size: 1 << 20 }));
  const contents = random.bytes(1000);
  const path = join(cycled, 'file');
  await fs.writeFile(path, contents);
  if (!(await fs.readFile(path)).equals(contents)) errors.push('cycle: other contents');
  const abandoned = random.below(2) === 0 ? fs.readdir(cycled).catch(() => undefined) : undefined;
  await (random.below(2) === 0 ? other.close() : other.destroy());
  await served;
  await abandoned;
  if (other.outstanding !== 0) errors.push(`cycle: ${other.outstanding} outstanding`);
  cycles++;
}

let cycling: Promise<void> = Promise.resolve();

async function cycleAgainAndAgain(): Promise<void> {
  for (;;) {
    if (running) {
      cycling = cycleOnce().catch((error) => {
        errors.push(`cycle: ${error}`);
      });
      await cycling;
    }
    await sleep(random.below(CYCLE_PAUSE));
  }
}

/** Waits until the kernel has taken back all lookups, or does not in time; then until garbage is collected. */
async function comeToRest(ledger: Ledger): Promise<void> {
  running = false;
  await cycling;
  for (const end = Date.now() + 10_000; ledger.nodes.length > 0 && Date.now() < end; await sleep(20));
  for (let pass = 0; pass < 5; pass++) {
    (globalThis as { gc?: () => void }).gc?.();
    await sleep(50);
  }
}

function report(fs: Mount, ledger: Ledger): Report {
  return {
    stats: fs.stats(),
    nodes: ledger.nodes.length,
    mistakes: ledger.mistakes,
    delays: ledger.delays,
    heeded: ledger.heeded,
    errors,
    notifications,
    effective,
    cycles,
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    mappings: readFileSync('/proc/self/maps', 'utf8').split('\n').length,
    handles: process.getActiveResourcesInfo().filter((name) => name !== 'Timeout').length,
    resident: process.memoryUsage.rss(),
  };
}

const filesystem = await mount(dir, options);
const ledger = new Ledger(memory({ size: SIZE }), random);
const { create } = ledger.handlers;
const served = serve(filesystem, {
  ...ledger.handlers,
  create: (request) => {
    names[created++ % REMEMBERED] = { parent: request.parent, name: request.name };
    return create?.(request) as ReturnType<NonNullable<typeof create>>;
  },
});

process.on('message', async (command: Command) => {
  if (command === 'go') running = true;
  if (command === 'rest') {
    await comeToRest(ledger);
    process.send?.(report(filesystem, ledger));
  }
  if (command === 'end') {
    await filesystem.close();
    await served;
    process.exit(0);
  }
});
void notifyAgainAndAgain(filesystem, ledger);
void cycleAgainAndAgain();
process.send?.('mounted');
