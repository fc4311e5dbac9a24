/**
 * Tests of what goes wrong: each stands for a row of `docs/faults.md`, and fails unless callers see what the row says,
 * as soon as it says, and no more is left than it says.
 */

import { execFile } from 'node:child_process';
import { access, readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import type { Transport } from 'ringfuse';
import { size } from './callers.ts';
import { isMounted } from './mounts.ts';
import { type Needs, Table } from './table.ts';
import { transport } from './transports.ts';

const run = promisify(execFile);

/** What callers see whose requests are in handlers when a mount ends, or who come afterwards. */
export const ENDED: readonly string[] = ['ECONNABORTED', 'ENOTCONN'];

/**
 * What callers see of a process that a signal ended, while the kernel handed their requests to it: over the ring also
 * ECANCELED, where the work of the dying thread was cancelled that was to take the request over (seen on Linux 6.18).
 */
export const KILLED: readonly string[] = transport === 'io_uring' ? [...ENDED, 'ECANCELED'] : ENDED;

/** What callers see that the fault does nothing to. */
export const ANSWERED = 'their answers';

/** See the head of `scripts/tables/faults.mjs`. */
export type Left = 'nothing' | 'the mount' | 'a stale mountpoint';

/** A row of the table. */
export interface Fault {
  /** Where it comes from: a section of the table. */
  readonly kind: 'start' | 'handler' | 'caller' | 'load' | 'end' | 'outside' | 'death';
  /** What happens. */
  readonly name: string;
  /** The codes that callers see, each of them at least possible. */
  readonly callers: readonly string[];
  /** Milliseconds in which all of this has come about. */
  readonly within: number;
  readonly left: Left;
  /** The transport that there is such a fault on, if it is one alone. */
  readonly only?: Transport;
}

const table = new Table<Fault>('faults');

/** Declares the test of a fault, over the run's transport. */
export function faultTest(
  fault: Fault,
  body: (t: ExecutionContext, transport: Transport, watch: FaultWatch) => Promise<void>,
  needs: Needs = {},
): void {
  const { name, callers, left, only } = fault;
  const title = `${name}: callers see ${callers.join(', ') || 'nothing'}; what is left is ${left}`;
  const declare = async (t: ExecutionContext, transport: Transport): Promise<void> => {
    const watch = new FaultWatch(t, fault);
    await body(t, transport, watch);
    watch.conclude();
  };
  table.test(title, [fault], declare, only === undefined ? needs : { ...needs, transports: [only] });
}

/** How a caller's system call ended. */
interface Answer {
  readonly code?: string | undefined;
}

/** Holds a test to its row. */
export class FaultWatch {
  readonly #t: ExecutionContext;
  readonly #fault: Fault;
  #began = Number.NaN;
  #answers = 0;
  #lastAnswer = 0;
  #cleared: number | undefined;

  constructor(t: ExecutionContext, fault: Fault) {
    this.#t = t;
    this.#fault = fault;
  }

  /** The fault happens now. */
  begin(): void {
    this.#began = performance.now();
  }

  /** Waits for callers, each of which must have one of the row's answers in time. */
  async see(...callers: readonly Promise<Answer>[]): Promise<void> {
    for (const { code = ANSWERED } of await this.#inTime(Promise.all(callers), 'a caller waits still')) {
      this.#t.true(this.#fault.callers.includes(code), `a caller sees ${code}`);
      this.#answers++;
    }
    this.#lastAnswer = this.#elapsed();
  }

  /** Waits for something else that belongs to the fault. */
  async inTime<T>(what: string, promise: Promise<T>): Promise<T> {
    return await this.#inTime(promise, `${what}: not yet`);
  }

  /** Waits until no more is left of the mount on `dir` than the row says, nor of the process that served it. */
  async left(dir: string, server?: number): Promise<void> {
    const { left, within } = this.#fault;
    for (;;) {
      const problem = await problemOf(left, dir, server);
      if (problem === undefined) break;
      if (this.#elapsed() > within) throw new Error(`after ${within} ms ${problem}`);
      await sleep(5);
    }
    this.#cleared = this.#elapsed();
    if (left === 'a stale mountpoint') {
      await run('umount', ['--lazy', dir]);
      this.#t.false(await isMounted(dir), 'umount -l clears it');
    }
  }

  /** @internal The test is at its end: says what was measured. */
  conclude(): void {
    const { callers, within, left } = this.#fault;
    if (this.#cleared === undefined) throw new Error('the test has not looked at what is left');
    if (callers.length > 0 && this.#answers === 0) throw new Error('the test has not looked at a caller');
    const answered = `${this.#answers} callers after ${this.#lastAnswer.toFixed(1)} ms`;
    this.#t.log(
      `${callers.length > 0 ? `${answered}, ` : ''}${left} left after ${this.#cleared.toFixed(1)} ms (bound: ${within} ms)`,
    );
  }

  #elapsed(): number {
    if (Number.isNaN(this.#began)) throw new Error('the test has not said when the fault begins');
    return performance.now() - this.#began;
  }

  async #inTime<T>(promise: Promise<T>, problem: string): Promise<T> {
    const { within } = this.#fault;
    const late = new AbortController();
    try {
      return await Promise.race([
        promise,
        sleep(Math.max(within - this.#elapsed(), 0), undefined, { ref: false, signal: late.signal }).then(
          () => {
            throw new Error(`after ${within} ms ${problem}`);
          },
        ),
      ]);
    } finally {
      late.abort();
    }
  }
}

/** What is against the row's word on what is left; undefined if nothing is. */
async function problemOf(left: Left, dir: string, server: number | undefined): Promise<string | undefined> {
  const mounted = await isMounted(dir);
  if (left === 'the mount') {
    const { code } = mounted ? await size(dir).ended : { code: 'nothing' };
    return code === undefined ? undefined : `whoever uses ${dir} sees ${code}`;
  }
  const running = server !== undefined && (await exists(`/proc/${server}`));
  if (running) return `process ${server} runs`;
  const [descriptor, thread] = [(await descriptors())[0], (await threads())[0]];
  if (server === undefined && descriptor !== undefined) return `a descriptor of ${descriptor} is open`;
  if (server === undefined && thread !== undefined) return `the thread ${thread} runs`;
  if (left === 'nothing') return mounted ? `${dir} is mounted` : undefined;
  const code = mounted ? (await size(dir).ended).code : 'nothing';
  return code === 'ENOTCONN' ? undefined : `whoever uses ${dir} sees ${code}`;
}

/** Descriptors of /dev/fuse and io_uring that this process has. */
export async function descriptors(): Promise<string[]> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((link) => link === '/dev/fuse' || link.includes('io_uring'));
}

/** Threads that stay for the life of a process: what makes detached threads, and what the watchdog uses. */
const STAYING: readonly string[] = ['ringfuse-spawn', 'ringfuse-inspec'];

/** Threads of ringfuse that this process has, by name, but for those that stay. */
async function threads(): Promise<string[]> {
  const names = (await readdir('/proc/self/task')).map((thread) =>
    readFile(`/proc/self/task/${thread}/comm`, 'latin1').catch(() => ''),
  );
  return (await Promise.all(names))
    .map((name) => name.trim())
    .filter((name) => name.startsWith('ringfuse') && !STAYING.includes(name));
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
