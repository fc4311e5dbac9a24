/** Filesystems within the source of a mirror that do not answer, or that lead back into the mirror. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { Transport } from 'ringfuse';
import { Caller, cat, stat } from './support/callers.ts';
import { mountpoint } from './support/mounted.ts';
import { untilUnmounted } from './support/mounts.ts';
import { overBoth } from './support/transports.ts';

const PROGRAM = fileURLToPath(new URL('support/mirror-program.js', import.meta.url));
const SLEEPER = fileURLToPath(new URL('support/sleeper.js', import.meta.url));

/** Milliseconds within which a stall is reported, with the options' defaults, and what a busy machine may add. */
const REPORTED = 7500;
const LATE = 3000;

/** Threads that a process may have more while it reports. */
const MORE_THREADS = 6;

/** A server in a process of its own. */
class Server {
  readonly child: ChildProcess;
  readonly dir: string;
  readonly ended: Promise<unknown>;
  output = '';
  report = '';

  constructor(t: ExecutionContext, source: string, dir: string, transport: Transport, program = PROGRAM) {
    this.dir = dir;
    this.child = spawn(process.execPath, [program, source, dir, transport], { stdio: 'pipe' });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.report += text;
    });
    this.ended = once(this.child, 'close');
    t.teardown(() => this.end());
  }

  async mounted(): Promise<this> {
    await this.printed('mounted');
    return this;
  }

  /** Waits until it has printed this. */
  async printed(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.child.exitCode !== null) throw new Error(this.report);
      await sleep(10);
    }
  }

  /** Threads of the process. */
  async threads(): Promise<number> {
    return (await readdir(`/proc/${this.child.pid}/task`)).length;
  }

  /** Unmounts, and ends the process. */
  async end(): Promise<void> {
    this.child.kill('SIGCONT');
    this.child.kill('SIGTERM');
    if ((await Promise.race([this.ended, sleep(5000, 'late')])) === 'late') {
      spawn('umount', ['-f', '-l', this.dir], { stdio: 'ignore' });
      this.child.kill('SIGKILL');
    }
    await untilUnmounted(this.dir);
  }
}

/** Waits for what a server reports. */
async function reported(server: Server): Promise<number> {
  const began = performance.now();
  while (!server.report.includes('\n') && performance.now() - began < REPORTED + LATE) await sleep(20);
  return performance.now() - began;
}

/** A directory to mirror, and a mountpoint for the mirror. */
async function directories(t: ExecutionContext): Promise<{ source: string; dir: string }> {
  const source = join(await mountpoint(t), 'source');
  for (const name of ['inner', 'low', 'overlay']) await mkdir(join(source, name), { recursive: true });
  await writeFile(join(source, 'low', 'file'), 'the contents of a file');
  await writeFile(join(source, 'other'), 'another file');
  return { source, dir: await mountpoint(t) };
}

overBoth(
  'a mirror that waits for a stopped server is reported with the mount of that server, and nothing of it is ended',
  async (t, transport) => {
    const { source, dir } = await directories(t);
    const inner = await new Server(t, 'memory', join(source, 'inner'), transport).mounted();
    const outer = await new Server(t, source, dir, transport).mounted();
    t.is((await cat(join(dir, 'inner', 'file')).ended).output, 'the contents of a file');
    // A name that nobody knows yet: the mirror has to ask.
    const absent = join(dir, 'inner', 'absent');
    const threads = await outer.threads();
    inner.child.kill('SIGSTOP');
    const first = stat(absent);
    await sleep(500);
    // These wait behind the first, unseen by any thread but the one that is stuck.
    const others = Array.from({ length: 3 }, () => cat(join(dir, 'other')));
    const milliseconds = await reported(outer);
    t.log(`${milliseconds.toFixed(0)} ms: ${outer.report}`);
    t.true(milliseconds < REPORTED + LATE);
    t.true(outer.report.includes(`waits for the FUSE filesystem at ${inner.dir}`), outer.report);
    t.true((await outer.threads()) <= threads + MORE_THREADS);
    inner.child.kill('SIGCONT');
    t.is((await first.ended).code, 'ENOENT');
    for (const { ended } of others) t.is((await ended).output, 'another file');
    await outer.end();
    t.true(outer.output.endsWith('ended\n'), outer.output);
    await inner.end();
  },
);

for (const deed of ['stat', 'symlink']) {
  overBoth(
    `a thread that sleeps in the filesystem of a stopped server answers its own callers when it wakes (${deed})`,
    async (t, transport) => {
      const { source, dir } = await directories(t);
      const inner = await new Server(t, 'memory', join(source, 'inner'), transport).mounted();
      const outer = await new Server(t, inner.dir, dir, transport, SLEEPER).mounted();
      inner.child.kill('SIGSTOP');
      outer.child.stdin?.write(deed);
      await outer.printed('asleep');
      await sleep(200);
      // It comes while the thread sleeps, outside of any handler.
      const caller = stat(join(dir, 'file'));
      const answered = caller.ended.then(({ code }) => code ?? 'answered');
      t.is(await Promise.race([answered, sleep(2500, 'waits')]), 'waits');
      inner.child.kill('SIGCONT');
      await outer.printed('awake');
      const answer = await Promise.race([answered, sleep(REPORTED, 'still waits')]);
      caller.kill('SIGKILL');
      t.is(answer, 'answered', outer.report);
      await outer.end();
      t.true(outer.output.endsWith('ended\n'), outer.output);
      await inner.end();
    },
  );
}

overBoth(
  'an overlay in the source of a mirror, whose lower layer is in the mirror, is an error soon',
  async (t, transport) => {
    const { source, dir } = await directories(t);
    const server = await new Server(t, source, dir, transport).mounted();
    const overlay = join(source, 'overlay');
    const options = `lowerdir=${join(dir, 'low')}:${join(dir, 'inner')}`;
    const [code] = await once(spawn('mount', ['-t', 'overlay', 'overlay', '-o', options, overlay]), 'close');
    t.is(code, 0, 'overlayfs is mounted');
    t.teardown(() => once(spawn('umount', ['-l', overlay]), 'close'));
    const began = performance.now();
    const caller = new Caller('sh', '-c', 'cat "$1" 2>&1 || true', 'sh', join(dir, 'overlay', 'file'));
    const { output } = await caller.ended;
    const milliseconds = performance.now() - began;
    t.log(`${milliseconds.toFixed(0)} ms: ${output} ${server.report}`);
    t.true(milliseconds < REPORTED + LATE);
    // The mirror refuses such an overlay; where it does not recognize one, the watchdog ends the wait.
    t.regex(output, /Resource deadlock avoided|canceled|abort|not connected|Input\/output error/);
    if (!output.includes('deadlock')) t.regex(server.report, /and waits for this mount/);
    await server.end();
    t.true(/(ended|ERR_RINGFUSE_STALLED)\n$/.test(server.output), server.output);
  },
);
