/** Ways in which a process, or a worker, comes to its end while it serves a mount. */

import { join } from 'node:path';
import { mount } from 'ringfuse';
import { stat } from '../support/callers.ts';
import { ENDED, type Fault, faultTest, KILLED } from '../support/faults.ts';
import { assertEnded, Mortal, withCallers } from '../support/mortals.ts';
import { mounted, mountpoint } from '../support/mounted.ts';
import { isMounted } from '../support/mounts.ts';
import { sandbox, UNCACHED } from '../support/sandbox.ts';
import { overBoth } from '../support/transports.ts';

/** A program's end under load. Once the mount is out of the tree, readers find the empty directory behind it. */
const death = (name: string): Fault => ({
  kind: 'death',
  name,
  callers: [...ENDED, 'ENOENT'],
  within: 3000,
  left: 'nothing',
});

faultTest(death('process.exit() in a handler, under load'), async (t, transport, watch) => {
  const scene = await withCallers(t, transport, 'main');
  watch.begin();
  await watch.see(scene.look('exit'));
  t.is((await assertEnded(scene, watch)).code, 3);
});

faultTest(death('an uncaught exception, under load'), async (t, transport, watch) => {
  const scene = await withCallers(t, transport, 'main');
  watch.begin();
  await scene.look('throw');
  const { code, errors } = await assertEnded(scene, watch);
  t.is(code, 1, 'it ends the process as everywhere');
  t.regex(errors, /nobody catches this/);
});

faultTest(death('an unhandled rejection, under load'), async (t, transport, watch) => {
  const scene = await withCallers(t, transport, 'main');
  watch.begin();
  await scene.look('reject');
  const { code, errors } = await assertEnded(scene, watch);
  t.is(code, 1, 'it ends the process as everywhere');
  t.regex(errors, /nobody handles this/);
});

faultTest(
  death('the event loop has nothing left to do, as of unref(), under load'),
  async (t, transport, watch) => {
    const scene = await withCallers(t, transport, 'main');
    watch.begin();
    t.is((await scene.look('unref')).code, 'ENOENT', 'it was still answered');
    const { code, errors } = await assertEnded(scene, watch);
    // Node.js says so of a top-level await that never comes to an end.
    t.is(code, 13, errors);
  },
);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  faultTest(death(`${signal}, with handleSignals, under load`), async (t, transport, watch) => {
    const scene = await withCallers(t, transport, 'main');
    watch.begin();
    scene.mortal.kill(signal);
    t.is((await assertEnded(scene, watch)).signal, signal);
  });

  faultTest(
    {
      ...death(`${signal}, without handleSignals, under load`),
      callers: KILLED,
      left: 'a stale mountpoint',
    },
    async (t, transport, watch) => {
      const scene = await withCallers(t, transport, 'careless');
      watch.begin();
      scene.mortal.kill(signal);
      t.is((await assertEnded(scene, watch)).signal, signal);
    },
  );
}

faultTest(death('worker.terminate() of the thread that serves, under load'), async (t, transport, watch) => {
  const scene = await withCallers(t, transport, 'worker');
  watch.begin();
  scene.mortal.tell('terminate');
  const { code, output, errors } = await assertEnded(scene, watch);
  t.is(code, 0, errors);
  t.regex(output, /worker ended with 1, descriptors: $/m);
});

faultTest(death('process.exit() in the worker that serves, under load'), async (t, transport, watch) => {
  const scene = await withCallers(t, transport, 'worker');
  watch.begin();
  await scene.look('exit');
  const { code, output, errors } = await assertEnded(scene, watch);
  t.is(code, 0, errors);
  t.regex(output, /worker ended with 3, descriptors: $/m);
});

faultTest(
  death('an uncaught exception in the worker that serves, under load'),
  async (t, transport, watch) => {
    const scene = await withCallers(t, transport, 'worker');
    watch.begin();
    await scene.look('throw');
    const { code, output, errors } = await assertEnded(scene, watch);
    t.is(code, 0, errors);
    t.regex(output, /worker: nobody catches this/);
    t.regex(output, /worker ended with 1, descriptors: $/m);
  },
);

faultTest(
  death('process.exit() in the main thread, while a worker serves under load'),
  async (t, transport, watch) => {
    const scene = await withCallers(t, transport, 'worker');
    watch.begin();
    scene.mortal.tell('exit');
    t.is((await assertEnded(scene, watch)).code, 4);
  },
);

faultTest(
  { ...death('a worker closes its mount and has nothing left to do'), callers: [] },
  async (t, transport, watch) => {
    const dir = await mountpoint(t);
    const mortal = new Mortal(t, dir, transport, 'worker');
    await mortal.mounted;
    watch.begin();
    await stat(join(dir, 'close')).ended;
    const { code, output, errors } = await watch.inTime('the process ends', mortal.ended);
    t.is(code, 0, errors);
    t.regex(output, /worker ended with 0, descriptors: $/m);
    await watch.left(dir, mortal.pid);
  },
);

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
