/** A soak: load, notifications, interrupts, kills, mounts and unmounts, until the time is over; then nothing is left. */

import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rmdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Transport } from 'ringfuse';
import { abortConnection, connectionOf } from '../support/connections.ts';
import { PREFIX } from '../support/mounted.ts';
import { isMounted } from '../support/mounts.ts';
import { Random } from '../support/random.ts';
import { clear, programs, Repeated } from './clients.ts';
import type { Command, Report } from './messages.ts';
import { startWriter, type Writer, type Written } from './writer.ts';

const SERVER = fileURLToPath(new URL('server.js', import.meta.url));

/** Load is in rounds of so many seconds; after each, all is removed and counted. */
const ROUND = 10;

/** The first rounds warm up: what they leave is what later ones are held against. */
const WARM_UP = 2;

/** Programs of {@link startWriter} that run at once, and seconds between two kills, on average. */
const WRITERS = 3;
const KILL_PAUSE = 1;

/** Milliseconds after the time is over in which every program has to be done. */
const PATIENCE = 60_000;

/** Share that resident memory may have grown by. */
const GROWTH = 0.1;

/** Of a soak over one transport. */
export interface SoakOptions {
  readonly transport: Transport;
  readonly seconds: number;
  readonly seed: number;
}

/** What must hold after a soak, and whether it does. */
export interface Verdict {
  readonly statement: string;
  readonly detail: string;
  readonly holds: boolean;
}

/** Runs a soak. */
export async function soak({ transport, seconds, seed }: SoakOptions): Promise<Verdict[]> {
  const [dir, cycled] = [await mkdtemp(PREFIX), await mkdtemp(PREFIX)];
  const server = new Server([dir, cycled, transport, String(seed)]);
  try {
    await server.answer();
    const empty = await space(dir);
    const load = new Load(dir, new Random(seed));
    const reports: Report[] = [];
    const spaces: string[] = [];
    const end = Date.now() + seconds * 1000;
    const rounds = Math.max(WARM_UP + 1, Math.floor(seconds / ROUND));
    for (let round = 0; round < rounds && load.problems.length === 0; round++) {
      server.tell('go');
      await inTime(dir, load.round((end - Date.now()) / (rounds - round)), end + PATIENCE);
      server.tell('rest');
      reports.push((await server.answer()) as Report);
      spaces.push(await space(dir));
    }
    server.tell('end');
    const code = await server.ended;
    const mounted = (await Promise.all([dir, cycled].map(isMounted))).includes(true);
    return [...judge(load, reports, transport), ...judgeRest(empty, spaces, code, mounted)];
  } finally {
    server.kill();
    for (const path of [dir, cycled]) await discard(path);
  }
}

/** Removes a mountpoint, with what a server that failed has left there. */
async function discard(dir: string): Promise<void> {
  if (await isMounted(dir)) await promisify(execFile)('umount', ['--lazy', dir]);
  await rmdir(dir);
}

/** The process that serves. */
class Server {
  readonly #child: ChildProcess;
  /** Resolves to its exit code, or the signal that ended it. */
  readonly ended: Promise<unknown>;

  constructor(args: readonly string[]) {
    this.#child = fork(SERVER, args, { execArgv: ['--expose-gc', '--max-semi-space-size=2'] });
    this.ended = once(this.#child, 'exit').then(([code, signal]) => code ?? signal);
  }

  tell(command: Command): void {
    this.#child.send(command);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Its next message. */
  async answer(): Promise<unknown> {
    const ended = this.ended.then((code): never => {
      throw new Error(`the server ended with ${code}`);
    });
    const [message] = await Promise.race([once(this.#child, 'message'), ended]);
    return message;
  }
}

/** Ends everybody's waiting, and the soak, if the load is not over in time: somebody hangs. */
async function inTime(dir: string, load: Promise<void>, end: number): Promise<void> {
  const late = new AbortController();
  const timer = sleep(end - Date.now(), 'late', { signal: late.signal }).catch(() => 'in time');
  const outcome = await Promise.race([load.then(() => 'in time'), timer]);
  late.abort();
  if (outcome === 'in time') return;
  await abortConnection(await connectionOf(dir));
  throw new Error('a program hangs: the connection was aborted');
}

/** What a filesystem holds. */
async function space(dir: string): Promise<string> {
  const { blocks, bfree, files, ffree } = await statfs(dir);
  return `${files - ffree} files, ${blocks - bfree} blocks`;
}

/** The programs that use the mount. */
class Load {
  readonly #dir: string;
  readonly #random: Random;
  readonly problems: string[] = [];
  readonly rounds: Map<string, number> = new Map();
  kills = 0;
  writers = 0;
  operations = 0;
  interrupts = 0;
  compared = 0;

  constructor(dir: string, random: Random) {
    this.#dir = dir;
    this.#random = random;
  }

  /** Lets them run so long, killing some; removes what they leave. */
  async round(milliseconds: number): Promise<void> {
    const end = Date.now() + milliseconds;
    const writers = Array.from({ length: WRITERS }, () => this.#startWriter());
    const repeated = Object.keys(programs).map(
      (name) => [name, new Repeated(name, join(this.#dir, name))] as const,
    );
    for (;;) {
      const pause = this.#random.next() * 2 * KILL_PAUSE * 1000;
      await sleep(Math.max(Math.min(pause, end - Date.now()), 0));
      if (Date.now() >= end) break;
      if (this.#random.below(2) === 0) await this.#replace(writers, this.#random.below(WRITERS));
      else this.#random.of(repeated)[1].kill();
    }
    const stopped = writers.map(async (writer) => this.#add(await writer.stop()));
    await Promise.all([...stopped, ...repeated.map(([, program]) => program.stop())]);
    for (const [name, { rounds, kills, problems }] of repeated) {
      this.rounds.set(name, (this.rounds.get(name) ?? 0) + rounds);
      this.kills += kills;
      this.problems.push(...problems);
    }
    for (const { directory } of writers) await clear(directory);
  }

  #startWriter(): Writer {
    this.writers++;
    return startWriter(join(this.#dir, `writer-${this.writers}`), this.#random.below(2 ** 31));
  }

  async #replace(writers: Writer[], index: number): Promise<void> {
    const writer = writers[index];
    this.#add(await writer.kill());
    this.kills++;
    await clear(writer.directory);
    writers[index] = this.#startWriter();
  }

  #add({ operations, interrupts, compared, problems }: Written): void {
    this.operations += operations;
    this.interrupts += interrupts;
    this.compared += compared;
    this.problems.push(...problems);
  }
}

function judge(load: Load, reports: readonly Report[], transport: Transport): Verdict[] {
  const [first, last] = [reports[Math.min(WARM_UP, reports.length) - 1], reports[reports.length - 1]];
  const { stats } = last;
  const { ringRequests, deviceRequests, forgetRequests, interrupts } = stats;
  const growth = last.resident / first.resident - 1;
  const [megabytes, percent] = [(last.resident / 2 ** 20).toFixed(0), (growth * 100).toFixed(1)];
  const same = (counter: 'descriptors' | 'threads' | 'handles'): Verdict => ({
    statement: `no ${counter.slice(0, -1)} is leaked`,
    detail: `${first[counter]} after the warm-up, ${last[counter]} in the end, with ${last.cycles} mounts in between`,
    holds: last[counter] <= first[counter],
  });
  const rounds = [...load.rounds].map(([name, count]) => `${count} rounds of ${name}`);
  return [
    {
      statement: `every request came over ${transport}`,
      detail: `${ringRequests} by the ring, ${deviceRequests} by /dev/fuse, of which ${forgetRequests} nodes to forget and ${interrupts} interrupts`,
      holds: transport === 'dev_fuse' ? ringRequests === 0 : deviceRequests <= forgetRequests + interrupts,
    },
    {
      statement: 'every program had what it asked for',
      detail: load.problems.join('; ') || rounds.join(', '),
      holds: load.problems.length === 0 && [...load.rounds.values()].every((count) => count > 0),
    },
    {
      statement: 'what was acknowledged is there',
      detail: `${load.writers} writers, ${load.operations} operations, ${load.interrupts} signals, ${load.kills} programs killed, ${load.compared} files compared`,
      holds: load.compared > 0 && load.kills > 0,
    },
    {
      statement: 'every request was answered once',
      detail: `${stats.replies} replies, ${stats.refusedReplies} refused, ${stats.outstanding} outstanding, ${stats.malformed} malformed`,
      holds: stats.refusedReplies + stats.outstanding + stats.malformed === 0,
    },
    {
      statement: 'interrupts reached their requests',
      detail: `${interrupts} interrupts, ${last.heeded} of ${last.delays} delayed requests failed with EINTR`,
      holds: interrupts > 0 && last.heeded > 0,
    },
    {
      statement: 'notifications and other mounts did no harm',
      detail:
        last.errors.join('; ') ||
        `${last.notifications} notifications, the kernel acted on ${last.effective}; ${last.cycles} mounts`,
      holds: last.errors.length === 0 && last.effective > 0 && last.cycles > 0,
    },
    {
      statement: 'the kernel has given back every lookup',
      detail: reports.map(({ nodes, mistakes }) => `${nodes} nodes, ${mistakes} too often`).join('; '),
      holds: reports.every(({ nodes, mistakes }) => nodes + mistakes === 0),
    },
    same('descriptors'),
    same('threads'),
    same('handles'),
    {
      statement: `resident memory is back within ${GROWTH * 100} %`,
      detail: `${megabytes} MiB, ${percent} % more than after the warm-up; ${reports.map(({ resident }) => (resident / 2 ** 20).toFixed(0)).join(', ')}`,
      holds: growth <= GROWTH,
    },
  ];
}

function judgeRest(empty: string, spaces: readonly string[], code: unknown, mounted: boolean): Verdict[] {
  return [
    {
      statement: 'the filesystem is as empty as before',
      detail: spaces.join('; '),
      holds: spaces.every((each) => each === empty),
    },
    {
      statement: 'the server ends, and unmounts',
      detail: `exit code ${code}`,
      holds: code === 0 && !mounted,
    },
  ];
}
