import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { mount } from 'ringfuse';
import { Caller } from '../support/callers.ts';
import { mounted, mountpoint } from '../support/mounted.ts';
import { MOUNTER, Mounter, notRoot, noUser, userShell } from '../support/mounting.ts';
import { isMounted } from '../support/mounts.ts';
import { sandbox } from '../support/sandbox.ts';
import { testUnless } from '../support/transports.ts';

const run = promisify(execFile);

/** Leaves a mount behind whose server was killed. */
async function leaveStale(t: ExecutionContext, dir: string): Promise<void> {
  const mounter = new Mounter(t, process.execPath, MOUNTER, dir);
  await mounter.next();
  mounter.tell('die');
  await mounter.ended;
  t.true(await isMounted(dir));
}

testUnless(
  notRoot,
  'a mountpoint whose server was killed is named, and replaced only where that is asked for',
  async (t) => {
    const dir = await mountpoint(t);
    t.teardown(() => run('umount', ['-l', dir]).catch(() => undefined));
    await leaveStale(t, dir);
    const error = await t.throwsAsync(mount(dir), { code: 'ERR_RINGFUSE_STALE_MOUNT' });
    t.like(error, { errno: -107, syscall: 'mount' });
    t.true(error?.message.includes(`umount -l ${dir}`));
    t.true(await isMounted(dir));

    const fs = await mount(dir, { replaceStale: true });
    t.is((await run('grep', ['-c', ` ${dir} `, '/proc/self/mounts'])).stdout.trim(), '1');
    await fs.destroy();
    t.false(await isMounted(dir));
  },
);

testUnless(notRoot, 'stale mounts on top of each other are all replaced', async (t) => {
  const dir = await mountpoint(t);
  await leaveStale(t, dir);
  // Another one on top, past the check: mounted elsewhere, and moved.
  const other = await mountpoint(t);
  await leaveStale(t, other);
  await run('mount', ['--bind', other, dir]);
  await run('umount', ['-l', other]);
  t.is((await run('grep', ['-c', ` ${dir} `, '/proc/self/mounts'])).stdout.trim(), '2');
  const fs = await mount(dir, { replaceStale: true });
  t.is((await run('grep', ['-c', ` ${dir} `, '/proc/self/mounts'])).stdout.trim(), '1');
  await fs.destroy();
  t.false(await isMounted(dir));
});

testUnless(notRoot, 'replaceStale touches no mount that is alive, and needs none', async (t) => {
  const { dir, path } = await mounted(t, sandbox());
  await t.throwsAsync(mount(dir, { replaceStale: true }), { code: 'ERR_RINGFUSE_MOUNTPOINT_BUSY' });
  t.is((await new Caller('stat', '--format=%F', path('file')).ended).output, 'regular file\n');
  const empty = await mountpoint(t);
  const fs = await mount(empty, { replaceStale: true });
  await fs.destroy();
});

testUnless(notRoot, 'a mount that is alive and does not answer is not taken for a stale one', async (t) => {
  const dir = await mountpoint(t);
  const silent = await mount(dir);
  await t.throwsAsync(mount(dir, { replaceStale: true }), { code: 'ERR_RINGFUSE_MOUNTPOINT_BUSY' });
  t.true(await isMounted(dir));
  await silent.destroy();
});

testUnless(noUser, 'an ordinary user replaces a stale mount of their own through fusermount3', async (t) => {
  const script = `
    echo '["die"]' | "$2" "$3" "$1" > /dev/null || true
    grep -c " $1 " /proc/self/mounts
    "$2" "$3" "$1" < /dev/null | grep -o 'ERR_RINGFUSE_[A-Z_]*' || true
    "$2" "$3" "$1" '{"replaceStale":true}' < /dev/null | grep -o '"maker":"[a-z0-9]*"'
    grep -c " $1 " /proc/self/mounts || true`;
  t.deepEqual((await userShell(t, script)).trim().split('\n'), [
    '1',
    'ERR_RINGFUSE_STALE_MOUNT',
    '"maker":"fusermount3"',
    '0',
  ]);
});
