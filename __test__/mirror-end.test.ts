/** After the end of a mirror nothing holds its source: it can be unmounted at once. */

import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { type MirrorOptions, mirror } from '@ringfuse/fs';
import type { ExecutionContext } from 'ava';
import { type Mount, mount, serve } from 'ringfuse';
import { RunningCommand } from './support/command.ts';
import { directory } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { notRoot } from './support/mounting.ts';
import { overBoth, testUnless, transport } from './support/transports.ts';

const run = promisify(execFile);

const ROUNDS = 20;

/** Mounts a tmpfs; gone with the test if it could not be unmounted before. */
async function filesystem(t: ExecutionContext, dir: string): Promise<void> {
  await run('mount', ['-t', 'tmpfs', 'none', dir]);
  t.teardown(() => run('umount', ['--lazy', dir]).catch(() => undefined));
}

/** Writes, reads and keeps files, so that each has a backing file where there is passthrough. */
const USE = 'cd "$1"; for name in a b c d e f g h; do echo contents > $name; cat $name > /dev/null; done';

const endings: Readonly<Record<string, (fs: Mount) => Promise<void>>> = {
  'close()': (fs) => fs.close(),
  'destroy()': (fs) => fs.destroy(),
  closed: (fs) => {
    void fs.close();
    return fs.closed;
  },
};

const ways: Readonly<Record<string, { options?: MirrorOptions; workers?: number }>> = {
  'with passthrough': {},
  'without passthrough': { options: { passthrough: false } },
  'with file handles': { options: { descriptors: 0 } },
  'by workers': { workers: 2 },
};

for (const [way, { options, workers }] of Object.entries(ways)) {
  for (const [ending, end] of Object.entries(endings)) {
    overBoth(
      `the source of a mirror ${way} can be unmounted as soon as ${ending} has resolved`,
      async (t) => {
        const source = await directory(t);
        const dir = await mountpoint(t);
        for (let round = 0; round < ROUNDS; round++) {
          await filesystem(t, source);
          const it = mirror(source, options);
          const served = workers === undefined ? {} : { workers: it.workers({ count: workers }) };
          const fs = await mount(dir, { ...it.mountOptions, transport, ...served });
          if (workers === undefined) void serve(fs, it.handlers(fs));
          await run('sh', ['-euc', USE, 'sh', dir]);
          await end(fs);
          if (workers !== undefined) it.close();
          // At once, without another turn of the event loop.
          t.notThrows(() => execFileSync('umount', [source], { stdio: 'pipe' }), `round ${round}`);
        }
      },
      notRoot,
    );
  }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  testUnless(
    notRoot,
    `the source of a mirror can be unmounted as soon as ${signal} ended its server`,
    async (t) => {
      const source = await directory(t);
      const dir = await mountpoint(t);
      for (let round = 0; round < ROUNDS / 2; round++) {
        await filesystem(t, source);
        const command = new RunningCommand('mount', 'mirror', source, dir);
        const line = await command.firstLine;
        t.true(line?.includes(transport), line);
        await run('sh', ['-euc', USE, 'sh', dir]);
        command.kill(signal);
        t.is((await command.ended).code, 0);
        t.notThrows(() => execFileSync('umount', [source], { stdio: 'pipe' }), `round ${round}`);
      }
    },
  );
}
