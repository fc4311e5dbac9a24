/** Ways in which a process, or a worker, comes to its end while it serves a mount. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { mount, type Transport } from 'ringfuse';
import { type Caller, cat, stat } from '../support/callers.ts';
import { mounted, mountpoint } from '../support/mounted.ts';
import { isMounted } from '../support/mounts.ts';
import { sandbox, UNCACHED } from '../support/sandbox.ts';
import { overBoth } from '../support/transports.ts';

const MORTAL = fileURLToPath(new URL('../support/mortal.js', import.meta.url));

/** What callers see whose requests are in handlers when a mount ends, or who come afterwards. */
const ENDED = ['ECONNABORTED', 'ENOTCONN'];

/** Milliseconds in which a process that ends, and all its callers, have to be gone. */
const SOON = 3000;

/** The program in `support/mortal.ts`. */
class Mortal {
  readonly #child: ChildProcess;
  readonly ended: Promise<{
    code: number | null;
    signal: NodeJS.Signals | null;
    output: string;
    errors: string;
  }>;
  readonly mounted: Promise<unknown>;

  constructor(t: ExecutionContext, dir: string, transport: Transport, where: 'main' | 'worker') {
    const child = spawn(process.execPath, [MORTAL, dir, transport, where], { stdio: 'pipe' });
    t.teardown(() => child.kill('SIGKILL'));
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    this.#child = child;
    this.mounted = Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
    this.ended = once(child, 'close').then(([code, signal]) => ({ code, signal, output, errors }));
  }

  /** Tells the main thread beside a worker what to do. */
  tell(command: 'terminate' | 'exit'): void {
    this.#child.stdin?.write(`${command}\n`);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** A mortal, and callers: one whose request no handler answers, and some that read again and again. */
async function withCallers(t: ExecutionContext, transport: Transport, where: 'main' | 'worker') {
  const dir = await mountpoint(t);
  const mortal = new Mortal(t, dir, transport, where);
  await mortal.mounted;
  const callers: Caller[] = [cat(join(dir, 'never'))];
  const load = Array.from({ length: 4 }, async () => {
    for (;;) {
      const caller = cat(join(dir, 'file'));
      const { code } = await caller.ended;
      if (code !== undefined) return code;
    }
  });
  await sleep(100);
  return {
    dir,
    mortal,
    started: performance.now(),
    waiting: callers[0].ended,
    load: Promise.all(load),
    look: (name: string) => stat(join(dir, name)).ended,
  };
}

/** The end comes soon, to callers as well, and nothing is left. */
async function assertEnded(
  t: ExecutionContext,
  { dir, mortal, waiting, load, started }: Awaited<ReturnType<typeof withCallers>>,
) {
  const ending = await Promise.race([mortal.ended, sleep(SOON, undefined, { ref: false })]);
  if (ending === undefined) {
    mortal.kill('SIGKILL');
    throw new Error(`it has not ended after ${SOON} ms`);
  }
  t.true(ENDED.includes((await waiting).code ?? ''));
  // Once it is out of the tree, the directory behind it is empty.
  for (const code of await load) t.true([...ENDED, 'ENOENT'].includes(code), code);
  t.false(await isMounted(dir));
  t.log(`gone after ${(performance.now() - started).toFixed(0)} ms`);
  return ending;
}

overBoth('process.exit() in a handler unmounts', async (t, transport) => {
  const all = await withCallers(t, transport, 'main');
  const { code } = await all.look('exit');
  t.true(ENDED.includes(code ?? ''));
  t.is((await assertEnded(t, all)).code, 3);
});

overBoth(
  'an uncaught exception unmounts, and ends the process as it does everywhere',
  async (t, transport) => {
    const all = await withCallers(t, transport, 'main');
    await all.look('throw');
    const { code, errors } = await assertEnded(t, all);
    t.is(code, 1);
    t.regex(errors, /nobody catches this/);
  },
);

overBoth(
  'an unhandled rejection unmounts, and ends the process as it does everywhere',
  async (t, transport) => {
    const all = await withCallers(t, transport, 'main');
    await all.look('reject');
    const { code, errors } = await assertEnded(t, all);
    t.is(code, 1);
    t.regex(errors, /nobody handles this/);
  },
);

overBoth('with unref() the process ends when nothing else is to do, and unmounts', async (t, transport) => {
  const all = await withCallers(t, transport, 'main');
  t.is((await all.look('unref')).code, 'ENOENT', 'it was still answered');
  const { code, errors } = await assertEnded(t, all);
  // Node.js says so of a top-level await that never comes to an end.
  t.is(code, 13, errors);
});

overBoth('with handleSignals a signal unmounts and then ends the process', async (t, transport) => {
  const all = await withCallers(t, transport, 'main');
  all.mortal.kill('SIGTERM');
  t.is((await assertEnded(t, all)).signal, 'SIGTERM');
});

overBoth('worker.terminate() under load unmounts, and the process goes on', async (t, transport) => {
  const all = await withCallers(t, transport, 'worker');
  all.mortal.tell('terminate');
  const { code, output, errors } = await assertEnded(t, all);
  t.is(code, 0, errors);
  t.regex(output, /worker ended with 1, descriptors: $/m);
});

overBoth('process.exit() in a worker ends the worker and its mount', async (t, transport) => {
  const all = await withCallers(t, transport, 'worker');
  await all.look('exit');
  const { code, output, errors } = await assertEnded(t, all);
  t.is(code, 0, errors);
  t.regex(output, /worker ended with 3, descriptors: $/m);
});

overBoth('an uncaught exception in a worker ends the worker and its mount', async (t, transport) => {
  const all = await withCallers(t, transport, 'worker');
  await all.look('throw');
  const { code, output, errors } = await assertEnded(t, all);
  t.is(code, 0, errors);
  t.regex(output, /worker: nobody catches this/);
  t.regex(output, /worker ended with 1, descriptors: $/m);
});

overBoth('process.exit() in the main thread unmounts what a worker serves', async (t, transport) => {
  const all = await withCallers(t, transport, 'worker');
  all.mortal.tell('exit');
  t.is((await assertEnded(t, all)).code, 4);
});

overBoth('a worker whose mount is closed comes to its natural end', async (t, transport) => {
  const dir = await mountpoint(t);
  const mortal = new Mortal(t, dir, transport, 'worker');
  await mortal.mounted;
  await stat(join(dir, 'close')).ended;
  const { code, output, errors } = await mortal.ended;
  t.is(code, 0, errors);
  t.regex(output, /worker ended with 0, descriptors: $/m);
  t.false(await isMounted(dir));
});

test('a process that exits while it mounts leaves nothing', async (t) => {
  const dir = await mountpoint(t);
  const program = `
    import { mount } from 'ringfuse';
    void mount(process.argv[1]);
    setTimeout(() => process.exit(5), Number(process.argv[2]));
  `;
  for (let delay = 0; delay < 12; delay++) {
    const args = ['--input-type=module', '--eval', program, dir, String(delay)];
    const [code] = await once(spawn(process.execPath, args, { stdio: 'inherit' }), 'close');
    t.is(code, 5);
    t.false(await isMounted(dir), `after ${delay} ms`);
  }
});

overBoth('mounts can be made on directories of a mount of the same process', async (t, transport) => {
  const directory = { mode: 0o40755, nlink: 2 };
  const outer = await mounted(
    t,
    sandbox({
      lookup: ({ name }) => (name === 'inner' ? { ino: 9, attr: directory } : null),
      getattr: () => ({ attr: directory }),
    }),
    { ...UNCACHED, transport },
  );
  const dir = outer.path('inner');
  const inner = await mount(dir, { transport });
  t.true(await isMounted(dir));
  await t.throwsAsync(mount(dir), { code: 'ERR_RINGFUSE_MOUNTPOINT_BUSY' });
  await inner.destroy();
  t.false(await isMounted(dir));
});
