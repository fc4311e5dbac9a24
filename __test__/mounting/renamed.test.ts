/** A mount whose path is another one at the end than it was at the beginning. */

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { Mortal } from '../support/mortals.ts';
import { PREFIX } from '../support/mounted.ts';
import { MOUNTER, Mounter, noUser, noUserNamespace, userMounter } from '../support/mounting.ts';
import { isMounted, untilUnmounted } from '../support/mounts.ts';
import { overBoth, transport } from '../support/transports.ts';

const run = promisify(execFile);

interface Place {
  /** Where it is mounted. */
  readonly dir: string;
  /** Where it is once {@link Place.move} has renamed the directory above. */
  readonly moved: string;
  move(): Promise<void>;
}

/**
 * A library that renames directories right before or after each mount(2) of the process that preloads it: as another
 * process may at any time.
 */
const RENAMER = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
static void renames(const char *when) {
  if (getenv(when) == NULL) return;
  if (rename(getenv("BEFORE"), getenv("AFTER")) != 0 || rename(getenv("OTHER"), getenv("BEFORE")) != 0) abort();
}
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data) {
  int (*next)(const char *, const char *, const char *, unsigned long, const void *) = dlsym(RTLD_NEXT, "mount");
  renames("FIRST");
  int result = next(source, target, type, flags, data);
  renames("LATER");
  return result;
}
`;

/** A mountpoint in a directory that can be renamed, both gone after the test. */
async function place(t: ExecutionContext): Promise<Place> {
  const above = await mkdtemp(PREFIX);
  const [before, after] = [join(above, 'before'), join(above, 'after')];
  const moved = join(after, 'mnt');
  await mkdir(join(before, 'mnt'), { recursive: true });
  t.teardown(async () => {
    await run('umount', ['-l', moved]).catch(() => undefined);
    await rm(above, { recursive: true, force: true });
  });
  return { dir: join(before, 'mnt'), moved, move: () => rename(before, after) };
}

for (const end of ['close', 'destroy', 'exit'] as const) {
  overBoth(`${end}() unmounts although a directory above the mountpoint was renamed`, async (t) => {
    const { dir, moved, move } = await place(t);
    const mounter = new Mounter(t, process.execPath, MOUNTER, dir);
    await mounter.next();
    await move();
    t.true(await isMounted(moved));
    if (end === 'exit') {
      mounter.tell('exit');
      await mounter.ended;
    } else {
      t.true(await mounter.ask(end));
    }
    t.false(await isMounted(moved));
  });
}

for (const where of ['main', 'worker'] as const) {
  overBoth(
    `${where === 'main' ? 'a signal' : 'the end of its worker thread'} unmounts although a directory above the mountpoint was renamed`,
    async (t) => {
      const { dir, moved, move } = await place(t);
      const mortal = new Mortal(t, dir, transport, where);
      await mortal.mounted;
      await move();
      t.true(await isMounted(moved));
      if (where === 'main') mortal.kill('SIGTERM');
      else mortal.tell('terminate');
      await mortal.ended;
      await untilUnmounted(moved);
    },
  );
}

overBoth('another mount that took the place of a renamed one is not touched', async (t) => {
  const { dir, moved, move } = await place(t);
  const first = new Mounter(t, process.execPath, MOUNTER, dir);
  await first.next();
  await move();
  await mkdir(dir, { recursive: true });
  const second = new Mounter(t, process.execPath, MOUNTER, dir);
  await second.next();
  t.true(await first.ask('destroy'));
  t.false(await isMounted(moved));
  t.true(await isMounted(dir));
  t.is((await readFile(join(dir, 'file'), 'utf8')).length > 0, true);
  t.true(await second.ask('close'));
  t.false(await isMounted(dir));
});

for (const [moment, name] of Object.entries({ FIRST: 'right before', LATER: 'right after' })) {
  overBoth(
    `a mount is on its directory, and no other is touched, if directories are renamed ${name} mount(2)`,
    async (t) => {
      const { dir, moved } = await place(t);
      const [before, after] = [dirname(dir), dirname(moved)];
      const above = dirname(before);
      const library = join(above, 'renamer.so');
      await writeFile(join(above, 'renamer.c'), RENAMER);
      await run('cc', ['-shared', '-fPIC', '-o', library, join(above, 'renamer.c')]);
      const other = join(above, 'other');
      await mkdir(join(other, 'mnt'), { recursive: true });
      await run('mount', ['-t', 'tmpfs', 'another', join(other, 'mnt')]);
      t.teardown(() => run('umount', [dir]));
      const renames = [`BEFORE=${before}`, `AFTER=${after}`, `OTHER=${other}`, `${moment}=1`];
      const preloaded = ['env', `LD_PRELOAD=${library}`, ...renames, process.execPath, MOUNTER, dir];
      const mounter = new Mounter(t, preloaded[0], ...preloaded.slice(1));
      await mounter.next();
      t.true(await isMounted(moved));
      t.true(await mounter.ask('destroy'));
      t.false(await isMounted(moved));
      t.true(await isMounted(dir));
    },
    process.getuid?.() === 0 ? undefined : 'only root mounts',
  );
}

overBoth(
  'an ordinary user unmounts although a directory above the mountpoint was renamed',
  async (t) => {
    const inside = (scratch: string): string => join(scratch, 'home/before/mnt');
    const surroundings = { prepare: 'mkdir -p "$scratch/home/before/mnt"; chown -R nobody "$scratch/home"' };
    const { mounter, scratch } = await userMounter(t, {}, surroundings, inside);
    t.is((await mounter.next()).maker, 'fusermount3');
    const home = join(scratch, 'home');
    t.false((await mounter.run('mv', join(home, 'before'), join(home, 'after'))).failed);
    const moved = join(home, 'after/mnt');
    t.is((await mounter.ask<unknown[]>('mounts', moved)).length, 1);
    t.true(await mounter.ask('destroy'));
    t.deepEqual(await mounter.ask('mounts', moved), []);
  },
  noUser,
);

overBoth(
  'a mount that was moved with mount --move is unmounted where it is',
  async (t) => {
    const { dir, moved } = await place(t);
    await mkdir(moved, { recursive: true });
    const alone = ['--user', '--map-root-user', '--mount', '--propagation', 'private'];
    const mounter = new Mounter(t, 'unshare', ...alone, process.execPath, MOUNTER, dir);
    await mounter.next();
    const { failed, stderr } = await mounter.run('mount', '--move', dir, moved);
    t.false(failed, stderr);
    t.is((await mounter.ask<unknown[]>('mounts', moved)).length, 1);
    t.true(await mounter.ask('close'));
    t.deepEqual(await mounter.ask('mounts', moved), []);
  },
  noUserNamespace,
);
