import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RunningCommand } from '../support/command.ts';
import { variants, withFilesystem } from '../support/conformance.ts';
import { abortConnection, connectionOf } from '../support/connections.ts';
import { mountpoint } from '../support/mounted.ts';
import { untilMounted, untilUnmounted } from '../support/mounts.ts';
import { noPython } from '../support/python.ts';
import { Random } from '../support/random.ts';
import { testUnless } from '../support/transports.ts';
import { fuzz } from './fuzz.ts';

/** Seconds for each filesystem. */
const SECONDS = 3;

const seed = Number(process.env.RINGFUSE_TEST_SEED ?? Date.now() % 2 ** 31);
const missing = process.getuid?.() === 0 ? noPython : 'not root';
const titles = ['memory() with default cache', 'mirror() with passthrough', 'mirror() in workers'];

for (const variant of variants.filter(({ title }) => titles.includes(title))) {
  testUnless(
    missing,
    `${variant.title} outlives random system calls of processes that are interrupted and killed`,
    async (t) => {
      t.log(`seed ${seed}`);
      // At the end of memory() nothing may be left.
      await withFilesystem(variant, (dir) => fuzz(dir, { seed, seconds: SECONDS }), {
        mountOptions: ['suid', 'dev'],
      });
      t.pass();
    },
  );
}

/** How a filesystem is ended from outside. */
const endings: Readonly<Record<string, (command: RunningCommand, dir: string) => Promise<void>>> = {
  'its server is killed': async (command) => command.kill('SIGKILL'),
  'its connection is aborted': async (_, dir) => abortConnection(await connectionOf(dir)),
};

for (const filesystem of ['memory', 'mirror']) {
  for (const [ending, end] of Object.entries(endings)) {
    testUnless(missing, `all callers of a ${filesystem} end when ${ending}`, async (t) => {
      t.log(`seed ${seed}`);
      const dir = await mountpoint(t);
      const scratch = await mkdtemp(join(tmpdir(), 'ringfuse-source-'));
      t.teardown(() => rm(scratch, { recursive: true, force: true }));
      const source = filesystem === 'mirror' ? [scratch] : [];
      const command = new RunningCommand('mount', filesystem, ...source, dir, '--allow-other');
      t.teardown(() => command.kill('SIGKILL'));
      await command.firstLine;
      await untilMounted(dir);
      let fuzzing = Promise.resolve();
      await new Promise<void>((resolve, reject) => {
        fuzzing = fuzz(dir, { seed, seconds: 20, untilGone: true, onStarted: resolve });
        fuzzing.catch(reject);
      });
      await sleep(new Random(seed).below(1000));
      await end(command, dir);
      await fuzzing;
      await run('umount', '--lazy', dir).catch(() => undefined);
      await untilUnmounted(dir);
      await command.ended;
      t.pass();
    });
  }
}

/** Runs a program that does not wait for the mount in this process. */
async function run(command: string, ...args: string[]): Promise<void> {
  const [code] = await once(spawn(command, args, { stdio: 'ignore' }), 'close');
  if (code !== 0) throw new Error(`${command}: exit code ${code}`);
}
