/** Mountpoints that cannot be used, and what others do to one that is. */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mount, serve } from 'ringfuse';
import { cat, hold, size } from '../support/callers.ts';
import { ANSWERED, ENDED, type Fault, faultTest } from '../support/faults.ts';
import { Mortal } from '../support/mortals.ts';
import { mounted, mountpoint } from '../support/mounted.ts';
import { isMounted } from '../support/mounts.ts';
import { noticing, sandbox, UNCACHED } from '../support/sandbox.ts';

const run = promisify(execFile);

const start = (name: string, ...callers: readonly string[]): Fault => ({
  kind: 'start',
  name,
  callers,
  within: 3000,
  left: 'nothing',
});

/** The code of the error of a mount that must fail. */
const failure = (dir: string): Promise<{ code: string }> =>
  mount(dir).then(
    () => ({ code: 'mounted' }),
    ({ code }: NodeJS.ErrnoException) => ({ code: code ?? 'an error without a code' }),
  );

faultTest(start('the directory does not exist', 'ERR_RINGFUSE_MOUNTPOINT'), async (t, _transport, watch) => {
  const dir = await mountpoint(t);
  watch.begin();
  await watch.see(failure(join(dir, 'missing')));
  await watch.left(dir);
});

faultTest(
  { ...start('a FUSE filesystem is mounted there', 'ERR_RINGFUSE_MOUNTPOINT_BUSY'), left: 'the mount' },
  async (t, transport, watch) => {
    const { dir } = await mounted(t, sandbox(), { ...UNCACHED, transport });
    watch.begin();
    await watch.see(failure(dir));
    await watch.left(dir);
  },
);

faultTest(
  {
    ...start('the server of an earlier mount was killed', 'ERR_RINGFUSE_STALE_MOUNT'),
    left: 'a stale mountpoint',
  },
  async (t, transport, watch) => {
    const dir = await mountpoint(t);
    const mortal = new Mortal(t, dir, transport, 'main');
    await mortal.mounted;
    mortal.kill('SIGKILL');
    await mortal.ended;
    watch.begin();
    await watch.see(failure(dir));
    await watch.left(dir, mortal.pid);
    // It can be mounted on again.
    await (await mount(dir, { transport })).destroy();
    t.false(await isMounted(dir));
  },
);

faultTest(
  { ...start('process.exit() at any time while it is being mounted'), within: 10_000 },
  async (t, _transport, watch) => {
    const dir = await mountpoint(t);
    const program = `
      import { mount } from 'ringfuse';
      void mount(process.argv[1]);
      setTimeout(() => process.exit(5), Number(process.argv[2]));
    `;
    watch.begin();
    for (let delay = 0; delay < 12; delay++) {
      const args = ['--input-type=module', '--eval', program, dir, String(delay)];
      const [code] = await once(spawn(process.execPath, args, { stdio: 'inherit' }), 'close');
      t.is(code, 5);
      t.false(await isMounted(dir), `after ${delay} ms`);
    }
    await watch.left(dir);
  },
);

const outside = (name: string, ...callers: readonly string[]): Fault => ({
  kind: 'outside',
  name,
  callers,
  within: 1500,
  left: 'nothing',
});

faultTest(
  { ...outside('rmdir of the mountpoint', ANSWERED), left: 'the mount' },
  async (t, transport, watch) => {
    const { dir, path } = await mounted(t, sandbox(), { ...UNCACHED, transport });
    watch.begin();
    await t.throwsAsync(run('rmdir', [dir]), { message: /busy/ });
    await watch.see(cat(path('file')).ended);
    await watch.left(dir);
  },
);

faultTest(
  outside('the directory behind the mountpoint is removed in another mount namespace', 'ENOENT'),
  async (t, transport, watch) => {
    const { dir, path, served } = await mounted(t, sandbox(), { ...UNCACHED, transport });
    watch.begin();
    // The kernel takes a mount away with its directory.
    await run('unshare', ['--mount', 'sh', '-euc', 'umount "$1"; rmdir "$1"', 'sh', dir]);
    await watch.inTime('the loop ends', served);
    await watch.see(size(path('file')).ended);
    await watch.left(dir);
  },
);

faultTest(
  {
    ...outside('another filesystem is mounted over it, and the mount is destroyed', ...ENDED),
    left: 'a stale mountpoint',
  },
  async (t, transport, watch) => {
    const dir = await mountpoint(t);
    const { handlers, noticed } = noticing(sandbox(), ({ op }) => op === 'read');
    const fs = await mount(dir, { ...UNCACHED, transport });
    const served = serve(fs, handlers);
    const holder = hold(join(dir, 'file'));
    await noticed;
    const waiting = cat(join(dir, 'never'));
    await run('mount', ['-t', 'tmpfs', 'none', dir]);
    t.teardown(() => run('umount', [dir]).catch(() => undefined));
    watch.begin();
    await fs.destroy();
    await served;
    await watch.see(waiting.ended);
    holder.kill('SIGTERM');
    // What covers it is not ours to unmount.
    t.regex((await run('stat', ['--file-system', '--format=%T', dir])).stdout, /tmpfs/);
    await run('umount', [dir]);
    await watch.left(dir);
  },
);
