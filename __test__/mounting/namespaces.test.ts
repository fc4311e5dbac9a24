import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { notRoot, noUserNamespace, type Ran, userMounter } from '../support/mounting.ts';
import { CONTENTS } from '../support/sandbox.ts';
import { overBoth, testUnless } from '../support/transports.ts';

const run = promisify(execFile);

/** A user namespace in which the user is root, and a mount namespace that it owns. */
const NAMESPACE = ['unshare', '--user', '--map-root-user', '--mount'];

interface CallerIds {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

overBoth(
  'in a user namespace mount(2) itself mounts, and callers have the ids of that namespace',
  async (t, transport) => {
    const { mounter, dir } = await userMounter(t, { transport }, { through: NAMESPACE });
    t.like(await mounter.next(), { maker: 'mount', transport, path: dir });
    t.is((await mounter.run('cat', join(dir, 'file'))).stdout, CONTENTS.toString());
    const callers = await mounter.ask<CallerIds[]>('callers');
    t.true(callers.length > 0);
    for (const { uid, gid } of callers) t.deepEqual([uid, gid], [0, 0]);
    t.true(await mounter.ask('close'));
    t.deepEqual(await mounter.ask('mounts', dir), []);
  },
  noUserNamespace,
);

// A limit on processes and threads, which root of the machine has not.
for (const end of ['destroy', 'exit']) {
  overBoth(
    `where no thread is to be had, close() says so, and ${end}() unmounts all the same`,
    async (t, transport) => {
      const wrapper = ['sh', '-c', '"$@"; grep -c " $HOME/mnt " /proc/self/mounts', 'sh'];
      const { mounter, dir } = await userMounter(t, { transport }, { through: [...NAMESPACE, ...wrapper] });
      const { pid } = await mounter.next();
      t.is((await mounter.ask<unknown[]>('mounts', dir)).length, 1);
      t.false((await mounter.run('prlimit', '--pid', `${pid}`, '--nproc=1')).failed);
      t.is(await mounter.ask('close'), 'ERR_RINGFUSE_THREAD');
      t.is((await mounter.ask<unknown[]>('mounts', dir)).length, 1, 'it goes on');
      if (end === 'destroy') {
        t.true(await mounter.ask('destroy'));
        t.deepEqual(await mounter.ask('mounts', dir), []);
        const left = await mounter.ask<{ link: string }[]>('descriptors');
        t.deepEqual(
          left.filter(({ link }) => link !== 'socket'),
          [],
          'but what it talks by',
        );
        mounter.end();
      } else {
        mounter.tell('exit');
      }
      t.is(await mounter.next<number>(), 0);
    },
    noUserNamespace,
  );
}

testUnless(noUserNamespace, 'in a user namespace there may be suid, dev and lazytime', async (t) => {
  const options = { suid: true, dev: true, lazytime: true };
  const { mounter } = await userMounter(t, options, { through: NAMESPACE });
  const [{ options: words }] = (await mounter.next()).mounts;
  t.true(words.includes('lazytime'));
  t.false(words.includes('nosuid'));
});

testUnless(
  noUserNamespace ?? notRoot,
  'who is outside the user namespace is refused, whoever it is, with allowOther too',
  async (t) => {
    for (const allowOther of [false, true]) {
      const { mounter, dir } = await userMounter(t, { allowOther }, { through: NAMESPACE });
      const { pid } = await mounter.next();
      const outside = run('cat', [`/proc/${pid}/root${dir}/file`], { env: { ...process.env, LC_ALL: 'C' } });
      await t.throwsAsync(outside, { message: /Permission denied/ }, `allowOther: ${allowOther}`);
      t.deepEqual(await mounter.ask('callers'), []);
    }
  },
);

/** Ids of the namespace from 0 on are those of the machine from here on. */
const FIRST_ID = 100_000;

testUnless(
  noUserNamespace ?? notRoot,
  'in a user namespace of many ids, callers have the ids that they have there',
  async (t) => {
    // The test maps the ids; then the program inside becomes the namespace's root.
    const inside = [
      ...['unshare', '--user', '--keep-caps', '--mount', 'sh', '-c', 'echo $$; read mapped; exec "$@"', 'sh'],
      ...['setpriv', '--reuid', '0', '--regid', '0', '--clear-groups'],
    ];
    const { mounter, dir } = await userMounter(t, { allowOther: true }, { through: inside });
    const pid = await mounter.next<number>();
    for (const map of ['uid_map', 'gid_map']) await writeFile(`/proc/${pid}/${map}`, `0 ${FIRST_ID} 65536`);
    mounter.send('mapped');
    t.like(await mounter.next(), { maker: 'mount' });
    const user = ['--reuid', '1000', '--regid', '1001', '--clear-groups'];
    const { stdout } = await mounter.ask<Ran>('run', 'setpriv', ...user, 'cat', join(dir, 'file'));
    t.is(stdout, CONTENTS.toString());
    const { uid, gid } = (await mounter.ask<CallerIds[]>('callers')).at(-1) ?? {};
    t.deepEqual([uid, gid], [1000, 1001]);
  },
);
