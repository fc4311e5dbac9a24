import { join } from 'node:path';
import type { MountOptions } from 'ringfuse';
import {
  MOUNTER,
  newFusermount,
  notRoot,
  noUser,
  type Ran,
  type Surroundings,
  userMounter,
  userShell,
} from '../support/mounting.ts';
import { CONTENTS } from '../support/sandbox.ts';
import { overBoth, testUnless } from '../support/transports.ts';

overBoth(
  'an ordinary user mounts through fusermount3, and leaves nothing behind',
  async (t, transport) => {
    const { mounter, dir } = await userMounter(t, { transport });
    const report = await mounter.next();
    t.like(report, { maker: 'fusermount3', transport, path: dir });
    t.like(report.mounts[0], { type: 'fuse.ringfuse', source: 'ringfuse' });
    for (const word of ['nosuid', 'nodev']) t.true(report.mounts[0].options.includes(word), word);

    const file = join(dir, 'file');
    t.is((await mounter.run('cat', file)).stdout, CONTENTS.toString());
    const { stdout } = await mounter.run('id', '-u');
    const callers = await mounter.ask<{ uid: number }[]>('callers');
    t.true(callers.length > 0 && callers.every(({ uid }) => uid === Number(stdout)));
    t.deepEqual(await mounter.ask('children'), [], 'fusermount3 has ended');
    const open = await mounter.ask<{ link: string; inherited: boolean }[]>('descriptors');
    t.deepEqual(
      open.filter(({ link, inherited }) => inherited && link !== 'socket'),
      [],
    );

    t.true(await mounter.ask('close'));
    t.deepEqual(await mounter.ask('mounts', dir), []);
    t.deepEqual(await mounter.ask('children'), []);
    const left = await mounter.ask<{ link: string }[]>('descriptors');
    t.deepEqual(
      left.filter(({ link }) => link !== 'socket'),
      [],
    );
  },
  noUser,
);

overBoth(
  'destroy() of a mount through fusermount3 ends callers that wait',
  async (t, transport) => {
    const { mounter, dir } = await userMounter(t, { transport });
    await mounter.next();
    await mounter.ask('start', 'cat', join(dir, 'never'));
    while ((await mounter.ask<number>('held')) === 0);
    t.true(await mounter.ask('destroy'));
    const { failed, stderr } = await mounter.ask<Ran>('outcome');
    t.true(failed);
    t.regex(stderr, /Software caused connection abort|Transport endpoint is not connected/);
    t.deepEqual(await mounter.ask('mounts', dir), []);
  },
  noUser,
);

/** Versions of fusermount3 before 3.15 need allowOther for it. */
const watched: MountOptions = { autoUnmount: true, allowOther: true };
const allowing: Surroundings = { fuseConf: 'user_allow_other' };

/** How a user's server ends → what its command is told. */
const endings: readonly (readonly [
  title: string,
  options: MountOptions,
  command: string,
  missing?: string,
])[] = [
  ['process.exit()', {}, `echo '["exit"]'`],
  ['the end of its work', {}, 'true'],
  ['kill -9, with autoUnmount', watched, `echo '["die"]'`, notRoot],
];

for (const [title, options, command, missing] of endings) {
  overBoth(
    `nothing of a user's mount is left after ${title}`,
    async (t, transport) => {
      const script = `
        ${command} | "$2" "$3" "$1" '${JSON.stringify({ ...options, transport })}' > "$HOME/report" || true
        grep -o '"maker":"[a-z0-9]*"' "$HOME/report"
        for i in $(seq 100); do grep -q " $1 " /proc/self/mounts || break; sleep 0.05; done
        grep -c " $1 " /proc/self/mounts || true`;
      t.is(await userShell(t, script, allowing), '"maker":"fusermount3"\n0\n');
    },
    noUser ?? missing,
  );
}

testUnless(
  noUser,
  'kill -9 without autoUnmount leaves the mountpoint, which fusermount3 -u clears',
  async (t) => {
    const script = `
    echo '["die"]' | "$2" "$3" "$1" > /dev/null || true
    grep -c " $1 " /proc/self/mounts
    fusermount3 -u "$1"
    grep -c " $1 " /proc/self/mounts || true`;
    t.is(await userShell(t, script), '1\n0\n');
  },
);

testUnless(
  noUser ?? notRoot,
  'autoUnmount: fusermount3 waits as long as the mount lives, and is gone with it',
  async (t) => {
    const { mounter, dir } = await userMounter(t, watched, allowing);
    t.like(await mounter.next(), { maker: 'fusermount3' });
    const [watcher, ...others] = await mounter.ask<string[]>('children');
    t.deepEqual(others, []);
    t.is((await mounter.run('cat', `/proc/${watcher}/comm`)).stdout, 'fusermount3\n');
    const open = await mounter.ask<{ link: string; inherited: boolean }[]>('descriptors');
    t.false(open.some(({ link, inherited }) => inherited && link !== 'socket'));
    t.true(await mounter.ask('close'));
    t.deepEqual(await mounter.ask('mounts', dir), []);
    for (let tries = 0; (await mounter.ask<string[]>('children')).length > 0; tries++) {
      if (tries > 100) return t.fail('fusermount3 is still there');
      await mounter.run('sleep', '0.02');
    }
  },
);

testUnless(
  noUser ?? newFusermount,
  'a fusermount3 that would not unmount what is dead is not asked to',
  async (t) => {
    const { mounter } = await userMounter(t, { autoUnmount: true });
    const { error } = await mounter.next();
    t.like(error, { code: 'ERR_RINGFUSE_FUSERMOUNT', errno: -95, syscall: 'mount' });
    t.regex(error?.message ?? '', /install version 3.15 or later/);
  },
);

/** What keeps a user from mounting → what the error says. */
interface Refused {
  readonly title: string;
  readonly options?: MountOptions;
  readonly surroundings?: Surroundings;
  readonly mountpoint?: string;
  readonly code?: string;
  readonly errno: number;
  /** What the message has to have: fusermount3's own words, and the remedy. */
  readonly says: readonly string[];
}

const hide = (replacement: string): string =>
  `for place in $(printf '%s' "$PATH:/usr/bin:/bin:/usr/local/bin:/sbin:/run/wrappers/bin" | tr : ' '); do
     if [ -f "$place/fusermount3" ]; then mount --bind ${replacement} "$place/fusermount3"; fi
   done`;

const refusals: readonly Refused[] = [
  {
    title: 'allowOther, which /etc/fuse.conf does not allow',
    options: { allowOther: true },
    errno: -1,
    says: ["only allowed if 'user_allow_other' is set", 'echo user_allow_other | sudo tee -a /etc/fuse.conf'],
  },
  {
    title: 'a sticky directory of somebody else',
    surroundings: { prepare: 'mkdir "$scratch/sticky"; chmod 1777 "$scratch/sticky"' },
    mountpoint: 'sticky',
    errno: -13,
    says: ['not owned by user', 'mount on a directory that belongs to this user'],
  },
  {
    title: 'a directory that the user may not write to',
    surroundings: { prepare: 'mkdir "$scratch/other"' },
    mountpoint: 'other',
    errno: -13,
    says: ['user has no write access to mountpoint', 'sudo chown $USER DIR'],
  },
  {
    title: 'a directory that the user may not look into',
    surroundings: { prepare: 'mkdir -p "$scratch/closed/dir"; chmod 0700 "$scratch/closed"' },
    mountpoint: 'closed/dir',
    code: 'ERR_RINGFUSE_MOUNTPOINT',
    errno: -13,
    says: ['this user may not look there'],
  },
  {
    title: 'suid, which fusermount3 would ignore',
    options: { suid: true },
    errno: -1,
    says: ['only root may mount with suid or dev'],
  },
  {
    title: 'more mounts than /etc/fuse.conf allows',
    surroundings: { fuseConf: 'mount_max = 0' },
    errno: -28,
    says: ['too many FUSE filesystems mounted', 'raise mount_max in /etc/fuse.conf'],
  },
  {
    title: 'a process that may gain no privileges',
    surroundings: { through: ['setpriv', '--no-new-privs'] },
    errno: -1,
    says: ['Operation not permitted', 'no_new_privs'],
  },
  {
    title: 'a fusermount3 that is not set-user-ID',
    surroundings: {
      prepare: `cp /usr/bin/fusermount3 "$scratch/copy"; chmod 0755 "$scratch/copy"; ${hide('"$scratch/copy"')}`,
    },
    errno: -1,
    says: ['Operation not permitted', 'chmod u+s'],
  },
  {
    title: 'no fusermount3',
    surroundings: { prepare: hide('/dev/null') },
    errno: -2,
    says: ['neither in PATH nor in', 'sudo apt-get install fuse3', 'unshare --user --map-root-user --mount'],
  },
  {
    title: 'another program of that name',
    surroundings: { prepare: hide('/bin/echo') },
    errno: -8,
    says: ['is no fusermount3 of version 3 or later'],
  },
  {
    title: 'a /dev/fuse that the user may not open',
    surroundings: { prepare: 'chmod 0600 "$scratch/fuse"' },
    code: 'ERR_RINGFUSE_DEVICE',
    errno: -13,
    says: ['sudo chmod 0666 /dev/fuse'],
  },
];

for (const { title, options = {}, surroundings, mountpoint, code, errno, says } of refusals) {
  testUnless(noUser ?? notRoot, `a user is told what mends it: ${title}`, async (t) => {
    const where = mountpoint === undefined ? undefined : (scratch: string) => join(scratch, mountpoint);
    const { mounter } = await userMounter(t, options, surroundings, where);
    const { error } = await mounter.next();
    t.like(error, { code: code ?? 'ERR_RINGFUSE_FUSERMOUNT', errno });
    t.is(error?.syscall, code === 'ERR_RINGFUSE_DEVICE' ? 'open' : 'mount');
    for (const text of says) t.true(error?.message.includes(text), error?.message);
    t.false(error?.message.includes('\n'));
  });
}

testUnless(noUser ?? notRoot, 'where /etc/fuse.conf allows it, a user lets others in', async (t) => {
  const { mounter } = await userMounter(t, { allowOther: true }, { fuseConf: 'user_allow_other' });
  t.true((await mounter.next()).mounts[0].options.includes('allow_other'));
});

testUnless(noUser, 'flags and names go through fusermount3', async (t) => {
  const options: MountOptions = {
    fsname: 'me@host:/a,b\\c d',
    subtype: 's',
    readOnly: true,
    exec: false,
    sync: true,
    dirsync: true,
    atime: 'noatime',
    defaultPermissions: true,
  };
  const { mounter } = await userMounter(t, options);
  const [{ type, source, options: words }] = (await mounter.next()).mounts;
  t.is(type, 'fuse.s');
  t.is(source, 'me@host:/a,b\\134c\\040d');
  for (const word of ['ro', 'noexec', 'sync', 'dirsync', 'noatime', 'default_permissions', 'nosuid', 'nodev'])
    t.true(words.includes(word), `${word} in ${words}`);
});

testUnless(
  noUser,
  '`ringfuse mount memory` works for an ordinary user, as long as the command runs',
  async (t) => {
    const script = `
    cli=${join(process.cwd(), 'packages/cli/bin/ringfuse.js')}
    "$2" "$cli" mount memory "$1" > "$HOME/out" 2>&1 &
    for i in $(seq 100); do grep -q " $1 " /proc/self/mounts && break; sleep 0.05; done
    echo contents > "$1/file"
    cat "$1/file"
    kill -INT $!
    wait $! || true
    sed 's/ on .*//; s/ (.*//' "$HOME/out"
    grep -c " $1 " /proc/self/mounts || true`;
    const [contents, line, left] = (await userShell(t, script)).trim().split('\n');
    t.is(contents, 'contents');
    t.regex(line, /^ringfuse: mounted /);
    t.is(left, '0');
  },
);

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly detail: string;
  readonly remedy?: string;
}

async function doctor(
  t: Parameters<typeof userShell>[0],
  surroundings?: Surroundings,
): Promise<readonly Finding[]> {
  const cli = join(process.cwd(), 'packages/cli/bin/ringfuse.js');
  const printed = await userShell(
    t,
    `unset RINGFUSE_TEST_TRANSPORT; "$2" ${cli} doctor --json || true`,
    surroundings,
  );
  return (JSON.parse(printed) as { checks: Finding[] }).checks;
}

testUnless(noUser, 'an ordinary user is told how to unmount a busy mountpoint: by fusermount3', async (t) => {
  const { mounter, dir } = await userMounter(t, {});
  await mounter.next();
  const again = await mounter.run(process.execPath, MOUNTER, dir, '{}');
  const { error } = JSON.parse(again.stdout.split('\n')[0]);
  t.is(error.code, 'ERR_RINGFUSE_MOUNTPOINT_BUSY');
  t.regex(error.message, /`fusermount3 -u [^`]+` if this user mounted it, otherwise `sudo umount /);
});

testUnless(noUser ?? notRoot, 'doctor tells an ordinary user what mounting takes', async (t) => {
  const find = (findings: readonly Finding[], check: string): Finding | undefined =>
    findings.find((finding) => finding.check === check);

  const well = await doctor(t);
  t.like(find(well, 'privileges'), { status: 'ok' });
  t.like(find(well, 'fusermount3'), { status: 'ok' });
  t.like(find(well, 'allowOther'), { status: 'warning' });

  const allowed = await doctor(t, { fuseConf: 'user_allow_other' });
  t.like(find(allowed, 'allowOther'), { status: 'ok' });

  const without = await doctor(t, { prepare: hide('/dev/null') });
  t.is(find(without, 'fusermount3')?.status, 'problem');
  t.regex(find(without, 'fusermount3')?.remedy ?? '', /sudo apt-get install fuse3/);

  const powerless = await doctor(t, { through: ['setpriv', '--no-new-privs'] });
  t.is(find(powerless, 'fusermount3')?.status, 'problem');
  t.regex(find(powerless, 'fusermount3')?.detail ?? '', /no_new_privs/);
});
