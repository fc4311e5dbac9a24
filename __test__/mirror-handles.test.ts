import { execFile } from 'node:child_process';
import { closeSync } from 'node:fs';
import { access, mkdir, readFile, statfs, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Mirror, type MirrorOptions, mirror, mirrorHandlers } from '@ringfuse/fs';
import test, { type ExecutionContext } from 'ava';
import { type DirectoryEntryPlus, type Handlers, type Mount, mount } from 'ringfuse';
import { directory, mirrored } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { systemCalls } from './support/system-calls.ts';
import { transport } from './support/transports.ts';

const run = promisify(execFile);

/** Every file has a handle, and nothing is known of names and attributes. */
const HANDLES: MirrorOptions = { descriptors: 0, timeout: 0 };

/** Mounts such a mirror on one thread, or on two workers. */
async function handles(t: ExecutionContext, server: string): Promise<{ source: string; dir: string }> {
  if (server === 'one thread') return await mirrored(t, HANDLES);
  const source = await directory(t);
  const dir = await mountpoint(t);
  const it = mirror(source, HANDLES);
  const workers = it.workers({ count: 2 });
  const fs = await mount(dir, { ...it.mountOptions, allowOther: true, transport, workers });
  t.teardown(async () => {
    await fs.destroy();
    it.close();
  });
  return { source, dir };
}

/** A file that is replaced all the time beneath the mirror, and used through it. */
const REPLACED = `
source = sys.argv[2]
def write(name):
    with open(os.path.join(source, name), 'w') as file: file.write('contents')
write('file')
if (replacer := os.fork()) == 0:
    libc.prctl(1, signal.SIGKILL)
    while True:
        write('new')
        os.rename(os.path.join(source, 'new'), os.path.join(source, 'file'))
seen = {}
def use():
    fd = os.open(at('file'), os.O_RDONLY)
    try:
        os.fstat(fd)
        return os.read(fd, 100).decode()
    finally: os.close(fd)
end = time.time() + 4
while time.time() < end:
    for act in (use, lambda: stat.S_ISREG(os.stat(at('file')).st_mode), lambda: os.access(at('file'), os.R_OK)):
        result = str(attempt(act))
        seen[result] = seen.get(result, 0) + 1
os.kill(replacer, 9)
os.waitpid(replacer, 0)
say(sorted(seen))
`;

for (const server of ['one thread', 'two workers']) {
  test.serial(`a file that is replaced all the time is never stale, ${server}`, async (t) => {
    const { source, dir } = await handles(t, server);
    t.deepEqual(await systemCalls(t, REPLACED, dir, source), ['True', 'contents']);
  });
}

/** Files without a name that are still in use. */
const NAMELESS = `
seen = []
def see(fd):
    seen.append(attempt(lambda: [oct(os.fstat(fd).st_mode), os.fstat(fd).st_nlink]))
def opened(name, flags):
    return os.open(at(name), flags)
def file(name):
    os.close(os.open(at(name), os.O_CREAT | os.O_WRONLY, 0o640))
# The kernel opens these without a request.
os.mkfifo(at('fifo'), 0o640); fifo = opened('fifo', os.O_RDWR)
os.mkfifo(at('other'), 0o640); other = opened('other', os.O_RDWR)
file('file'); path_only = opened('file', os.O_PATH)
file('replaced'); replaced = opened('replaced', os.O_PATH)
file('replacing')
os.mkdir(at('dir'), 0o750); directory = opened('dir', os.O_PATH)
file('open'); still_open = opened('open', os.O_RDWR)
os.unlink(at('fifo')); os.unlink(at('file')); os.rmdir(at('dir')); os.unlink(at('open'))
os.rename(at('replacing'), at('replaced'))
os.unlink(os.path.join(sys.argv[2], 'other'))
# Others take the table's own descriptors meanwhile.
for n in range(600): file('n%d' % n); os.stat(at('n%d' % n))
for fd in (fifo, other, path_only, replaced, directory, still_open): see(fd)
os.fchmod(fifo, 0o600); see(fifo)
seen.append([os.write(fifo, b'through'), os.read(fifo, 10)])
seen.append(attempt(os.chmod, '/proc/self/fd/%d' % path_only, 0o600)); see(path_only)
say(seen)
`;

for (const server of ['one thread', 'two workers']) {
  test.serial(`what was removed is still what programs have open, ${server}`, async (t) => {
    const plain = await directory(t);
    const expected = await systemCalls(t, NAMELESS, plain, plain);
    const { source, dir } = await handles(t, server);
    t.deepEqual(await systemCalls(t, NAMELESS, dir, source), expected);
  });
}

/** Makes requests of a mirror that is not mounted, several in one turn. */
function asker(t: ExecutionContext, it: Mirror): (op: keyof Handlers, request: object) => unknown {
  const handlers = mirrorHandlers(
    {
      path: '',
      capabilities: [],
      queueDepth: 32,
      notify: {} as Mount['notify'],
      openBacking: () => t.fail() as never,
      closeBacking: () => t.fail() as never,
    },
    it.share,
  );
  const caller = { uid: 0, gid: 0, pid: process.pid };
  return (op, request) =>
    (handlers[op] as unknown as (request: object) => unknown)({ ...caller, ...request });
}

test.serial('a descriptor stays open as long as a request uses it, however many came before', async (t) => {
  const source = await directory(t);
  await mkdir(join(source, 'from'));
  await mkdir(join(source, 'to'));
  await writeFile(join(source, 'from/file'), '');
  // More and fewer than a thread has open for nodes with handles.
  const counts = Array.from({ length: 200 }, (_, n) => n);
  for (const n of counts) await writeFile(join(source, `${n}`), '');
  const it = mirror(source, HANDLES);
  t.teardown(() => it.close());
  const ask = asker(t, it);
  const lookUp = (name: string): number =>
    (ask('lookup', { parent: 1, nameBytes: Buffer.from(name) }) as { ino: number }).ino;
  const [from, to] = ['from', 'to'].map(lookUp);
  const others = counts.map((n) => lookUp(`${n}`));
  let [parent, newParent] = [from, to];
  for (const most of counts) {
    // What was borrowed before is given back.
    await new Promise(setImmediate);
    ask('getattr', { ino: parent });
    for (const ino of others.slice(0, most)) ask('getattr', { ino });
    const nameBytes = Buffer.from('file');
    t.notThrows(() => ask('rename', { parent, nameBytes, newParent, newNameBytes: nameBytes }), `${most}`);
    [parent, newParent] = [newParent, parent];
  }
});

test.serial(
  'an error in the middle of a listing comes after what was listed, and loses no lookup',
  async (t) => {
    const source = await directory(t);
    await mkdir(join(source, 'dir'));
    for (let n = 0; n < 100; n += 1) await writeFile(join(source, 'dir', `${n}`), '');
    const it = mirror(source, { passthrough: false });
    t.teardown(() => it.close());
    const ask = asker(t, it);
    const { ino } = ask('lookup', { parent: 1, nameBytes: Buffer.from('dir') }) as { ino: number };
    const { fh } = ask('opendir', { ino, flags: 0 }) as { fh: number };
    const list = (exactOffset: bigint): Iterable<DirectoryEntryPlus> =>
      ask('readdirplus', { ino, fh, exactOffset, size: 4096 }) as Iterable<DirectoryEntryPlus>;
    const listed: DirectoryEntryPlus[] = [];
    for (const entry of list(0n)) {
      // What comes next fails as a disk fails.
      if (listed.length === 0) closeSync(fh);
      listed.push(entry);
    }
    t.true(listed.length > 2 && listed.length < 100);
    t.throws(() => [...list(BigInt(listed.at(-1)?.offset ?? 0))], { code: 'EBADF' });
    const counted = listed.filter((entry) => 'attr' in entry);
    t.is(it.nodes, 2 + counted.length);
    ask('forget', { forgets: [...counted, { ino }].map((entry) => ({ ino: entry.ino, nlookup: 1 })) });
    t.is(it.nodes, 1);
  },
);

for (const [way, options] of Object.entries({ descriptors: {}, 'file handles': { descriptors: 0 } })) {
  test.serial(
    `a file that is removed in the source gives its space back when it is missed, ${way}`,
    async (t) => {
      const source = await directory(t);
      await run('mount', ['-t', 'tmpfs', 'none', source]);
      t.teardown(() => run('umount', ['--lazy', source]));
      const { dir } = await mirrored(t, options, {}, { source });
      const names = Array.from({ length: 30 }, (_, n) => `${n}`);
      for (const name of names) await writeFile(join(source, name), Buffer.alloc(1 << 20));
      for (const name of names) await readFile(join(dir, name));
      const used = async (): Promise<number> => {
        const { blocks, bfree, bsize } = await statfs(source);
        return ((blocks - bfree) * bsize) >> 20;
      };
      t.true((await used()) >= 30);
      for (const name of names) await unlink(join(source, name));
      // With descriptors the kernel forgets a file when somebody looks for its name, and with handles nothing holds it.
      const deadline = Date.now() + 15_000;
      while ((await used()) > 0 && Date.now() < deadline) {
        await sleep(200);
        if (way === 'descriptors')
          for (const name of names) await access(join(dir, name)).catch(() => undefined);
      }
      t.is(await used(), 0);
    },
  );
}
