import { mirror } from '@ringfuse/fs';
import test, { type ExecutionContext } from 'ava';
import { mount } from 'ringfuse';
import { directory, mirrored } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { systemCalls } from './support/system-calls.ts';
import { transport } from './support/transports.ts';

/** Where a mirror is, and what it shows. */
interface Places {
  readonly source: string;
  readonly dir: string;
}

/** The ways to serve a mirror. */
const servers: Readonly<Record<string, (t: ExecutionContext) => Promise<Places>>> = {
  'one thread': (t) => mirrored(t),
  'one thread without passthrough': (t) => mirrored(t, { passthrough: false }),
  async workers(t) {
    const source = await directory(t);
    const dir = await mountpoint(t);
    const it = mirror(source);
    const workers = it.workers({ count: 2 });
    const fs = await mount(dir, { ...it.mountOptions, allowOther: true, transport, workers });
    t.teardown(async () => {
      await fs.destroy();
      it.close();
    });
    return { source, dir };
  },
};

/** Serves a mirror by a process with a umask, until the test is over. */
async function withUmask(t: ExecutionContext, umask: number, server: string): Promise<Places> {
  const before = process.umask(umask);
  t.teardown(() => void process.umask(before));
  return await servers[server](t);
}

/** A user makes files through the mirror, and swaps each for root's file or directory beneath it at once. */
const RACE = `
import mmap
source, kind = sys.argv[2], sys.argv[3]
os.chown(source, 1000, 1000)
victim = os.path.join(source, 'victim')
if kind == 'directory':
    os.mkdir(victim); os.chmod(victim, 0o700)
else:
    os.close(os.open(victim, os.O_CREAT | os.O_WRONLY)); os.chmod(victim, 0o600)
kept = os.open(victim, os.O_RDONLY)
before = os.fstat(kept)
shared = mmap.mmap(-1, 1)
os.umask(0)
def user():
    os.setgroups([]); os.setgid(1000); os.setuid(1000)
old, new = os.path.join(source, 'x').encode(), victim.encode()
if (swapper := os.fork()) == 0:
    libc.prctl(1, signal.SIGKILL)
    user()
    while True:
        if shared[0]: libc.syscall(316, -100, old, -100, new, 2)
def make():
    if kind == 'directory': os.mkdir(at('x'), 0o777)
    elif kind == 'node': os.mknod(at('x'), stat.S_IFREG | 0o777)
    else: os.close(os.open(at('x'), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o777))
if (maker := os.fork()) == 0:
    user()
    for n in range(300):
        shared[0] = 1
        attempt(make)
        shared[0] = 0
        time.sleep(0.0005)
        if os.fstat(kept).st_mode != before.st_mode: break
        # Under which of the names the victim is now depends on who came first.
        if os.stat(victim).st_ino != before.st_ino: libc.syscall(316, -100, old, -100, new, 2)
        attempt(os.rmdir if kind == 'directory' else os.unlink, old)
    os._exit(0)
os.waitpid(maker, 0)
os.kill(swapper, 9)
os.waitpid(swapper, 0)
after = os.fstat(kept)
say([oct(after.st_mode), after.st_uid] == [oct(before.st_mode), before.st_uid])
`;

for (const server of ['one thread', 'workers']) {
  for (const umask of [0o022, 0o077]) {
    for (const kind of ['node', 'directory', 'file']) {
      test.serial(
        `a user who swaps a new ${kind} for root's changes nothing of root's, umask ${umask.toString(8)}, ${server}`,
        async (t) => {
          const { source, dir } = await withUmask(t, umask, server);
          t.true(await systemCalls(t, RACE, dir, source, kind));
        },
      );
    }
  }
}

/** What the user makes through the mirror is exchanged beneath it for nodes of other types. */
const OTHER_TYPES = `
source = sys.argv[2]
beside = os.path.join(source, 'beside')
os.mkdir(beside)
os.mkdir(os.path.join(beside, 'directory')); os.mkfifo(os.path.join(beside, 'fifo'))
os.close(os.open(os.path.join(beside, 'file'), os.O_CREAT)); os.symlink('x', os.path.join(beside, 'link'))
x = os.path.join(source, 'x').encode()
others = [os.path.join(beside, name).encode() for name in ('directory', 'fifo', 'file', 'link')]
if (swapper := os.fork()) == 0:
    libc.prctl(1, signal.SIGKILL)
    while True:
        for other in others: libc.syscall(316, -100, x, -100, other, 2)
makers = [
    lambda: os.mkdir(at('x')), lambda: os.mknod(at('x'), stat.S_IFREG), lambda: os.mkfifo(at('x')),
    lambda: os.mknod(at('x'), stat.S_IFSOCK), lambda: os.symlink('target', at('x')),
    lambda: os.close(os.open(at('x'), os.O_CREAT | os.O_EXCL)),
]
outcomes = set()
for n in range(3000):
    outcomes.add(attempt(makers[n % len(makers)]))
    for remove in (os.unlink, os.rmdir): attempt(remove, x)
    attempt(os.listdir, path); attempt(os.lstat, at('x'))
os.kill(swapper, 9); os.waitpid(swapper, 0)
say('EIO' in outcomes)
`;

test.serial('a name that gets another type beneath is an errno for its maker, and no report', async (t) => {
  const reports: unknown[] = [];
  const { dir, source } = await mirrored(t, {}, { onError: (error) => reports.push(error) });
  t.false(await systemCalls(t, OTHER_TYPES, dir, source));
  t.deepEqual(reports, []);
});

/** Modes and owners of what callers make with each umask, with and without a default ACL. */
const MODES = `
def acl(*entries): return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in entries)
NONE = 0xffffffff
for name in ('plain', 'acl', 'group'): os.mkdir(at(name)); os.chmod(at(name), 0o777)
os.setxattr(at('acl'), 'system.posix_acl_default', acl((1, 7, NONE), (4, 7, NONE), (32, 5, NONE)))
os.chown(at('group'), 0, 3000); os.chmod(at('group'), 0o2777)
seen = []
def see(name):
    s = os.lstat(at(name))
    seen.append([name, oct(s.st_mode), s.st_uid, s.st_gid])
for uid in (0, 1000):
    os.setegid(uid); os.seteuid(uid)
    for place in ('plain', 'acl', 'group'):
        for umask in (0, 0o002, 0o022, 0o027, 0o077):
            os.umask(umask)
            for mode in (0o777, 0o666, 0o1751, 0o600):
                name = '%s/%d-%o-%o-' % (place, uid, umask, mode)
                os.mkdir(at(name + 'directory'), mode); see(name + 'directory')
                os.mkfifo(at(name + 'fifo'), mode); see(name + 'fifo')
                os.mknod(at(name + 'node'), stat.S_IFREG | mode); see(name + 'node')
                fd = os.open(at(name + 'file'), os.O_CREAT | os.O_RDWR, mode); see(name + 'file')
                os.write(fd, b'contents'); os.close(fd)
                fd = os.open(at(place), os.O_TMPFILE | os.O_RDWR, mode)
                s = os.fstat(fd)
                seen.append([name, oct(s.st_mode), s.st_uid, s.st_gid])
                os.close(fd)
                os.symlink('target', at(name + 'link')); see(name + 'link')
    os.seteuid(0); os.setegid(0)
say(seen)
`;

for (const server of Object.keys(servers)) {
  test.serial(
    `what is made has the mode of its maker's umask, whatever the server's, ${server}`,
    async (t) => {
      const expected = await systemCalls(t, MODES, await directory(t));
      t.is((expected as unknown[]).length, 2 * 3 * 5 * 4 * 6);
      for (const umask of [0, 0o022, 0o077]) {
        const { dir } = await withUmask(t, umask, server);
        t.deepEqual(await systemCalls(t, MODES, dir), expected, `umask ${umask.toString(8)}`);
      }
    },
  );
}

test.serial('the umask of a process that serves may change', async (t) => {
  const expected = await systemCalls(t, MODES, await directory(t));
  const { dir } = await withUmask(t, 0o022, 'one thread');
  process.umask(0o077);
  // As long as the mirror goes by what it knows.
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.deepEqual(await systemCalls(t, MODES, dir), expected);
});

test.serial('a whiteout belongs to the user who renames', async (t) => {
  const code = `
os.mkdir(at('dir')); os.chown(at('dir'), 1000, 1000)
# In a directory with the sticky bit, too, where a name is its owner's to rename.
os.mkdir(at('sticky')); os.chmod(at('sticky'), 0o1777)
seen = []
for uid in (1000, 0):
    os.setegid(uid); os.seteuid(uid)
    for place in ('dir', 'sticky'):
        name = '%s/%d' % (place, uid)
        os.close(os.open(at(name), os.O_CREAT | os.O_WRONLY, 0o600))
        seen.append(attempt(call, 316, -100, at(name).encode(), -100, at(name + 'new').encode(), 4))
        for shown in (name, name + 'new'):
            s = os.lstat(at(shown))
            seen.append([shown, oct(s.st_mode), s.st_uid, s.st_gid, s.st_rdev])
    os.seteuid(0); os.setegid(0)
say(seen)
`;
  const expected = await systemCalls(t, code, await directory(t));
  t.deepEqual((expected as unknown[][])[1], ['dir/1000', '0o20000', 1000, 1000, 0]);
  for (const options of [{}, { descriptors: 0 }]) {
    const { dir } = await mirrored(t, options);
    t.deepEqual(await systemCalls(t, code, dir), expected, JSON.stringify(options));
  }
});
