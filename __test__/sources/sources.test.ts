import type { MirrorOptions } from '@ringfuse/fs';
import { runDifferential } from '../differential/differential.ts';
import { variants } from '../support/conformance.ts';
import { mirrored } from '../support/mirrors.ts';
import { noPython } from '../support/python.ts';
import { mirrorServer } from '../support/servers.ts';
import { systemCalls } from '../support/system-calls.ts';
import { testUnless } from '../support/transports.ts';
import { placeKinds, placeMissing } from './places.ts';

/** Seconds of random system calls on each kind. */
const SECONDS = 3;

const seed = Number(process.env.RINGFUSE_TEST_SEED ?? Date.now() % 2 ** 31);
const names = { fuse: 'another FUSE filesystem', overlay: 'overlayfs' } as Readonly<Record<string, string>>;
const [variant] = variants.filter(({ title }) => title === 'mirror() with passthrough');

for (const reference of placeKinds) {
  testUnless(
    placeMissing(reference) ?? noPython,
    `random system calls do on a mirror of ${names[reference] ?? reference} what they do directly`,
    async (t) => {
      t.log(`seed ${seed}`);
      t.log(await runDifferential({ variant, reference }, { seed, operations: 1e6, seconds: SECONDS }));
      t.pass();
    },
  );
}

/** Reads files of procfs that stay as they are, and lists directories. */
const READS = `
import mmap
def contents(name):
    with open(at(name), 'rb') as file: return file.read()
def again(name):
    fd = os.open(at(name), os.O_RDONLY)
    try: return [os.pread(fd, 7, 0), os.pread(fd, 7, 3), os.pread(fd, 7, 0)]
    finally: os.close(fd)
files = ['version', 'filesystems', 'cmdline', 'sys/kernel/ostype', 'sys/kernel/osrelease', 'sys/fs/pipe-max-size', 'cgroups']
seen = [[name, attempt(contents, name), attempt(again, name)] for name in files]
seen += [[name, attempt(lambda: sorted(os.listdir(at(name))))] for name in ('sys', 'sys/kernel', 'sys/vm', 'driver')]
for name in (*files, 'sys', 'sys/kernel', 'self', 'mounts'):
    s = os.lstat(at(name))
    seen.append([name, oct(s.st_mode), s.st_uid, s.st_gid, s.st_size])
seen.append(attempt(os.mkdir, at('directory')))
seen.append(attempt(os.open, at('version'), os.O_WRONLY | os.O_CREAT))
say(seen)
`;

const caches: Readonly<Record<string, MirrorOptions>> = {
  'with passthrough': {},
  'without passthrough': { passthrough: false },
  'with write-back cache': { writeback: true },
  'with direct I/O': { directIo: true },
};
const missing = process.getuid?.() === 0 ? noPython : 'not root';

for (const [cache, options] of Object.entries(caches)) {
  testUnless(
    missing,
    `a mirror of procfs, where it is asked for, has the contents and names of procfs, ${cache}`,
    async (t) => {
      const { dir } = await mirrored(t, { ...options, kernelFilesystems: true }, {}, { source: '/proc' });
      const expected = (await systemCalls(t, READS, '/proc')) as unknown[];
      t.true(expected.length > 20);
      t.deepEqual(await systemCalls(t, READS, dir), expected);
    },
  );

  testUnless(
    missing,
    `a mirror of another FUSE filesystem reads files whose size is 0 there to their end, ${cache}`,
    async (t) => {
      const inner = await mirrorServer(t, 'root', {
        source: '/proc',
        options: { kernelFilesystems: true, passthrough: false },
      });
      const { dir } = await mirrored(t, options, {}, { source: inner.dir });
      t.deepEqual(await systemCalls(t, READS, dir), await systemCalls(t, READS, '/proc'));
    },
  );
}

/** A setting of the kernel, read again while its file is open: the size of files in sysfs is that of a page. */
const SETTING = `
name = at('kernel/mm/transparent_hugepage/defrag')
fd = os.open(name, os.O_RDONLY)
say([open(name).read(), os.pread(fd, 10000, 0), os.pread(fd, 10000, 0), os.pread(fd, 4, 2)])
`;

for (const [cache, options] of Object.entries(caches)) {
  testUnless(
    missing,
    `a mirror of sysfs reads files to their end and not to their size, ${cache}`,
    async (t) => {
      const { dir } = await mirrored(t, { ...options, kernelFilesystems: true }, {}, { source: '/sys' });
      t.deepEqual(await systemCalls(t, SETTING, dir), await systemCalls(t, SETTING, '/sys'));
    },
  );
}
