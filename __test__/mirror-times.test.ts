/** Times that change past the mirror: the kernel may not show the old ones for as long as the mirror's timeout. */

import { type MirrorOptions, mirror } from '@ringfuse/fs';
import type { ExecutionContext } from 'ava';
import { mount } from 'ringfuse';
import { directory, mirrored } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { programTest } from './support/programs.ts';
import { systemCalls } from './support/system-calls.ts';
import { transport } from './support/transports.ts';

type Way = (t: ExecutionContext, source: string) => Promise<string>;

/** Seconds: a day. */
const timeout = 86_400;

const alone =
  (options: MirrorOptions): Way =>
  async (t, source) =>
    (await mirrored(t, { timeout, ...options }, {}, { source })).dir;

const ways: Readonly<Record<string, Way>> = {
  'with passthrough': alone({}),
  'without passthrough': alone({ passthrough: false }),
  'with file handles': alone({ descriptors: 0 }),
  async 'by workers'(t, source) {
    const dir = await mountpoint(t);
    const it = mirror(source, { timeout });
    const fs = await mount(dir, {
      ...it.mountOptions,
      allowOther: true,
      transport,
      workers: it.workers({ count: 2 }),
    });
    t.teardown(async () => {
      await fs.destroy();
      it.close();
    });
    return dir;
  },
};

const obstacle = process.getuid?.() === 0 ? undefined : 'needs root for passthrough';

/**
 * The source's times are those that the mirror is to show: within a bound, of which the program waits several. Files are
 * named before and after the mapping, and kept open or not.
 */
const MAPPED = `
import mmap
source, seen = sys.argv[2], []
def times(directory, name):
    s = os.stat(os.path.join(directory, name))
    return [s.st_mtime_ns, s.st_ctime_ns]
def shows(name, before):
    end = time.monotonic() + 10
    while True:
        there, here = times(source, name), times(path, name)
        if there == here and here != before: return True
        if time.monotonic() > end: return [there, here, before]
        time.sleep(0.05)
for name, create in (('made', os.O_CREAT), ('found', 0)):
    if not create:
        with open(os.path.join(source, name), 'wb') as file: file.write(bytes(4096))
        times(path, name)
    fd = os.open(at(name), os.O_RDWR | create, 0o644)
    if create: os.write(fd, bytes(4096))
    memory = mmap.mmap(fd, 4096)
    os.close(fd)
    for n in range(3):
        before = times(path, name)
        memory[n] = 65
        memory.flush()
        seen.append([name, n, shows(name, before)])
        # What fails once would take long each time.
        if seen[-1][2] is not True:
            say(seen)
            sys.exit()
say(seen)
`;

const FLAGS = `
import subprocess
source, seen = sys.argv[2], []
for name, make in (('file', lambda p: os.close(os.open(p, os.O_CREAT | os.O_WRONLY))), ('directory', os.mkdir)):
    make(at(name))
    for flag in ('+A', '-A'):
        before = os.stat(at(name)).st_ctime_ns
        time.sleep(0.02)
        subprocess.run(['chattr', flag, at(name)], check=True)
        here, there = os.stat(at(name)).st_ctime_ns, os.stat(os.path.join(source, name)).st_ctime_ns
        seen.append([name, flag, here == there, here > before])
say(seen)
`;

for (const [way, serve] of Object.entries(ways)) {
  programTest(
    `a store into a shared mapping changes the times that programs see, whatever the timeout, ${way}`,
    ['python3'],
    async (t) => {
      const source = await directory(t);
      const dir = await serve(t, source);
      const expected = ['made', 'found'].flatMap((name) => [0, 1, 2].map((n) => [name, n, true]));
      t.deepEqual(await systemCalls(t, MAPPED, dir, source), expected);
    },
    obstacle,
  );

  programTest(
    `chattr changes the time of change that programs see, whatever the timeout, ${way}`,
    ['python3', 'chattr'],
    async (t) => {
      const source = await directory(t);
      const dir = await serve(t, source);
      const expected = ['file', 'directory'].flatMap((name) =>
        ['+A', '-A'].map((flag) => [name, flag, true, true]),
      );
      t.deepEqual(await systemCalls(t, FLAGS, dir, source), expected);
    },
    obstacle,
  );
}
