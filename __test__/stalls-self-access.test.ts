/**
 * Every synchronous call of Node.js on a mount that the calling thread serves: it ends within a bound,
 * with an error, and the process ends.
 *
 * A process that this leaves stuck cannot be killed. So each case runs in a child, and a child that is
 * late has its connections aborted.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { Transport } from 'ringfuse';
import { mountpoint } from './support/mounted.ts';
import { calls, children, forgotten, missing } from './support/self-calls.ts';
import { overBoth } from './support/transports.ts';

const PROGRAM = fileURLToPath(new URL('support/self-access.js', import.meta.url));

/** Milliseconds within which a call ends on a machine that is not busy, and what a busy one may add. */
const BOUND = 2000;
const LATE = 6000;

/**
 * Milliseconds that `onStall` of the program may take. Where other connections of the machine have unanswered requests
 * all the time, it alone ends a call that names no file of the mount (`close`): over the ring, and where the call waits
 * for pages to be written, which are nobody's requests.
 */
const BY_OPTION = 15_000;

/** Milliseconds after which a child is stuck. */
const STUCK = 30_000;

/** Children that run at once. */
const PARALLEL = 4;

/** What a call sees whose request is ended. */
const ENDED: readonly string[] = [
  'ECANCELED',
  'ECONNABORTED',
  'ENOTCONN',
  'EIO',
  'ETIMEDOUT',
  'ERR_DLOPEN_FAILED',
  // After several calls, each of which was ended.
  'MODULE_NOT_FOUND',
];

/** What each mode needs of a call to reach the filesystem. */
const modes = ['one', 'two', 'cached', 'workers'] as const;
type Mode = (typeof modes)[number];

/** Calls that return `false`, an empty list or an error of their own for a file that cannot be reached. */
const QUIET: readonly string[] = ['existsSync', 'globSync'];

/** What the program said of the call, and of the mounts afterwards. */
interface Said {
  /** Whether a connection of another process had requests before and after. */
  readonly elsewhere: boolean;
  readonly outcome: string;
  readonly milliseconds: number;
  readonly afterwards: { readonly inner: string; readonly outer?: string };
  readonly ended: { readonly inner: string; readonly outer?: string };
}

/** Runs the program; if it is stuck, ends it and says in what state its threads were. */
async function access(dir: string, transport: Transport, name: string, mode: Mode): Promise<Said | string> {
  const child = spawn(process.execPath, [PROGRAM, dir, transport, name, mode], { stdio: 'pipe' });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const before = await busy();
  const code = await Promise.race([ended, sleep(STUCK, 'stuck', { ref: false })]);
  if (code === 'stuck') {
    const problem = `it is stuck: ${await states(child.pid ?? 0)}; ${output} ${errors}`;
    await abort(dir);
    child.kill('SIGKILL');
    await Promise.race([ended, sleep(LATE)]);
    await abort(dir);
    return problem;
  }
  if (code !== 0) return `it ended with ${code}: ${output} ${errors}`;
  const elsewhere = (await busy()).some((number) => before.includes(number));
  return Object.assign(
    { elsewhere },
    ...output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object),
  ) as Said;
}

/** The connections of the machine that have unanswered requests. */
async function busy(): Promise<string[]> {
  const numbers = await readdir('/sys/fs/fuse/connections');
  const counts = numbers.map((number) =>
    readFile(`/sys/fs/fuse/connections/${number}/waiting`, 'latin1').catch(() => '0'),
  );
  const waiting = await Promise.all(counts);
  return numbers.filter((_, index) => Number(waiting[index]) > 0);
}

/** The states of a process's threads. Nothing else in /proc is safe to read of one that is stuck. */
async function states(pid: number): Promise<string> {
  const found: string[] = [];
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const status = await readFile(`/proc/${pid}/task/${thread}/status`, 'latin1').catch(() => '');
    found.push(`${thread} ${/^State:\s+(\S)/m.exec(status)?.[1]}`);
  }
  return found.join(', ');
}

/** Aborts the connections of what is mounted in `dir`. */
async function abort(dir: string): Promise<void> {
  for (const line of (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')) {
    const [, , device, , mounted] = line.split(' ');
    if (!mounted?.startsWith(dir)) continue;
    const number = device.split(':')[1];
    await writeFile(`/sys/fs/fuse/connections/${number}/abort`, '1').catch(() => undefined);
    spawn('umount', ['-l', mounted], { stdio: 'ignore' });
  }
}

/** Whether a call may come to that. What a program sees depends on whether the mount is still there. */
function isEnd(outcome: string, name: string): boolean {
  if (outcome === 'value' || ENDED.includes(outcome)) return true;
  return name in children && outcome.startsWith('Command failed');
}

/** What is wrong with a call's outcome. */
function problem(said: Said, transport: Transport, name: string, mode: Mode): string | undefined {
  const { outcome, milliseconds, afterwards, ended } = said;
  const undecided = said.elsewhere && (transport === 'io_uring' || mode === 'cached');
  const bound = undecided ? BY_OPTION : BOUND;
  if (milliseconds > bound + LATE) return `it took ${milliseconds} ms`;
  // Another worker may answer.
  const wellEnded = ended.inner === 'ended' || ended.inner === 'ERR_RINGFUSE_STALLED';
  if (mode === 'workers') return wellEnded ? undefined : `the mount ended with ${ended.inner}`;
  if (!isEnd(outcome, name)) return `it ended with ${outcome}`;
  const reached = outcome !== 'value' || QUIET.includes(name) || missing.includes(name);
  // What is in the page cache needs no request.
  if (!reached && mode !== 'cached') return 'it returned a value';
  if (transport === 'dev_fuse' && (ended.inner !== 'ended' || afterwards.inner !== 'value'))
    return `the mount ended with ${ended.inner}`;
  if (transport === 'io_uring' && !wellEnded) return `the mount ended with ${ended.inner}`;
  if (mode === 'two' && (ended.outer !== 'ended' || afterwards.outer !== 'value'))
    return `the outer mount ended with ${ended.outer}, and gave ${afterwards.outer}`;
  return undefined;
}

test('no synchronous function of node:fs is forgotten here', (t) => {
  t.deepEqual(forgotten, []);
});

for (const mode of modes) {
  const where = {
    one: "one's own mount",
    two: "the inner of one's own two mounts",
    cached: "one's own mount with page cache and write-back",
    workers: 'the mount that the calling worker serves with others',
  }[mode];
  overBoth(
    `every synchronous call on ${where} ends within a bound, and so does the process`,
    async (t, transport) => {
      t.timeout(10 * 60_000);
      const names = Object.keys(calls).filter((name) => isFor(name, mode));
      const next = names[Symbol.iterator]();
      const problems: string[] = [];
      const work = async (): Promise<void> => {
        for (const name of next) {
          const said = await tried(t, transport, name, mode);
          if (said !== undefined) problems.push(`${name}: ${said}`);
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, work));
      t.deepEqual(problems, []);
    },
  );
}

/** Whether a mode has something to add. */
function isFor(name: string, mode: Mode): boolean {
  if (mode === 'cached')
    return /^(read|write|readv|writev|f\w*)Sync$|^closeSync$/.test(name) || name in children;
  return true;
}

async function tried(
  t: ExecutionContext,
  transport: Transport,
  name: string,
  mode: Mode,
): Promise<string | undefined> {
  const dir = await mountpoint(t);
  const said = await access(dir, transport, name, mode);
  if (typeof said === 'string') return said;
  t.log(`${name}: ${said.outcome} after ${said.milliseconds} ms`);
  await rm(dir, { recursive: true });
  return problem(said, transport, name, mode);
}
