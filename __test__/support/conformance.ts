/**
 * Public conformance suites on `memory()` and `mirror()`: pjdfstest for what system calls do, fsx for the contents of files.
 * `scripts/conformance-suites.mjs` installs them; `npm run conformance` and a test run them.
 */

import { deepStrictEqual } from 'node:assert';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, promisify } from 'node:util';
import {
  type Memory,
  type MirrorOptions,
  memory,
  memoryMountOptions,
  mirror,
  type Usage,
} from '@ringfuse/fs';
import { type Mount, type MountOptions, mount, serve, type Transport } from 'ringfuse';
import { PREFIX } from './mounted.ts';

/** Compiled, this is `build/__test__/support/conformance.js`. */
const tools = fileURLToPath(new URL('../../../target/tools/bin/', import.meta.url));

/** A suite of conformance. */
export type Suite = 'pjdfstest' | 'fsx' | 'stress-ng' | 'differential';

/** Whether a suite is installed. */
export function isInstalled(suite: Suite): boolean {
  const directories = [tools, ...(process.env.PATH ?? '').split(delimiter)];
  const program = suite === 'differential' ? 'python3' : suite;
  return directories.some((directory) => existsSync(join(directory, program)));
}

/** What is mounted, and how it is served. */
interface Filesystem {
  readonly options: MountOptions;
  serve(fs: Mount): Promise<void>;
  /** Rejects if, once all names are removed and the kernel has forgotten what it can, something is left. */
  checkLeaks?(dir: string): Promise<void>;
}

/** A way to mount a filesystem. */
export interface Variant {
  readonly title: string;
  readonly options: MountOptions;
  /** Whether files can be mapped so that others see what is written. */
  readonly mappable: boolean;
  /** Makes the filesystem; `scratch` is an empty directory of its own. */
  make(scratch: string): Filesystem;
}

const uncached: MountOptions = { directIo: true, entryTimeout: 0, attrTimeout: 0 };

const makeMemory = (): Filesystem => {
  const filesystem = memory();
  return {
    options: memoryMountOptions,
    serve: (fs) => serve(fs, filesystem),
    checkLeaks: (dir) => checkMemory(filesystem, dir),
  };
};

const makeMirror = (options: MirrorOptions) => (scratch: string) => {
  const source = mirror(scratch, options);
  return {
    options: source.mountOptions,
    serve: (fs: Mount) => serve(fs, source.handlers(fs)),
  };
};

const makeMirrorInWorkers = (scratch: string): Filesystem => {
  const source = mirror(scratch);
  return {
    options: { ...source.mountOptions, workers: source.workers() },
    serve: (fs) => fs.closed.finally(() => source.close()),
  };
};

/** Each filesystem, each way in which the kernel can cache, and the other transport. */
export const variants: readonly Variant[] = [
  { title: 'memory() with default cache', options: {}, mappable: true, make: makeMemory },
  {
    title: 'memory() with write-back cache',
    options: { capabilities: ['WRITEBACK_CACHE'] },
    mappable: true,
    make: makeMemory,
  },
  { title: 'memory() with direct I/O', options: uncached, mappable: false, make: makeMemory },
  {
    title: 'memory() with direct I/O, files can be mapped',
    options: { ...uncached, capabilities: ['DIRECT_IO_ALLOW_MMAP'] },
    mappable: true,
    make: makeMemory,
  },
  {
    title: 'memory() over /dev/fuse instead of the ring',
    options: { transport: 'dev_fuse' },
    mappable: true,
    make: makeMemory,
  },
  { title: 'mirror() with passthrough', options: {}, mappable: true, make: makeMirror({}) },
  { title: 'mirror() in workers', options: {}, mappable: true, make: makeMirrorInWorkers },
  {
    title: 'mirror() with file handles instead of descriptors',
    options: {},
    mappable: true,
    make: makeMirror({ descriptors: 0 }),
  },
  {
    title: 'mirror() without passthrough',
    options: {},
    mappable: true,
    make: makeMirror({ passthrough: false }),
  },
  {
    title: 'mirror() with write-back cache',
    options: {},
    mappable: true,
    make: makeMirror({ writeback: true }),
  },
  {
    title: 'mirror() with direct I/O and nothing cached',
    options: {},
    mappable: false,
    make: makeMirror({ directIo: true, timeout: 0 }),
  },
  {
    title: 'mirror() over /dev/fuse instead of the ring',
    options: { transport: 'dev_fuse' },
    mappable: true,
    make: makeMirror({}),
  },
];

/** Whether the kernel offers the ring. */
async function ringOffered(): Promise<boolean> {
  const parameter = await readFile('/sys/module/fuse/parameters/enable_uring', 'utf8').catch(() => 'N');
  return parameter.trim() === 'Y';
}

/** What a variant leaves open: in a test the transport of its run, otherwise the ring where the kernel offers it. */
async function usualTransport(): Promise<Transport | 'auto'> {
  const chosen = process.env.RINGFUSE_TEST_TRANSPORT as Transport | undefined;
  if (chosen !== undefined) return chosen;
  return (await ringOffered()) ? 'io_uring' : 'auto';
}

/** What an empty filesystem holds: its root. */
const EMPTY: Usage = { size: 0, inodes: 1, lookups: 0 };

/** Milliseconds in which the kernel gives back what it has. */
const FORGETTING = 10_000;

/** Changes a mount's flags. Without mount(8)'s helper for FUSE, which would look for a program `ringfuse`. */
async function remount(dir: string, flags: readonly string[] = []): Promise<void> {
  await promisify(execFile)('mount', ['--internal-only', '-o', ['remount', ...flags].join(), dir]);
}

/**
 * Removes all that is in a `memory()`, and makes the kernel forget. A remount lets go of all names that are cached for
 * the mount; at its end the kernel does not say what it forgets.
 */
async function checkMemory(filesystem: Memory, dir: string): Promise<void> {
  // Names can be any bytes.
  await promisify(execFile)('find', [dir, '-mindepth', '1', '-delete']);
  await remount(dir);
  const deadline = Date.now() + FORGETTING;
  while (!isDeepStrictEqual(filesystem.usage, EMPTY) && Date.now() < deadline) await setTimeout(10);
  deepStrictEqual(filesystem.usage, EMPTY, 'memory() holds something although all of it was removed');
}

/** Where a filesystem is mounted, other than by default. */
export interface Place {
  /** An existing directory, in place of a fresh one: a mirror's source. */
  readonly scratch?: string;
  /** What the mount's flags are changed to: `suid`, `dev`. */
  readonly mountOptions?: readonly string[];
}

/** Gives `body` the mountpoint of a fresh filesystem. It is an error if the ring was to be used and was not. */
export async function withFilesystem<T>(
  variant: Variant,
  body: (dir: string) => Promise<T>,
  { scratch: given, mountOptions = [] }: Place = {},
): Promise<T> {
  const dir = await mkdtemp(PREFIX);
  const within = given === undefined ? withScratch : <R>(use: (scratch: string) => Promise<R>) => use(given);
  try {
    return await within(async (scratch) => {
      const filesystem = variant.make(scratch);
      const fs = await mount(dir, {
        ...filesystem.options,
        allowOther: true,
        transport: await usualTransport(),
        ...variant.options,
      });
      const served = filesystem.serve(fs);
      try {
        if (mountOptions.length > 0) await remount(dir, mountOptions);
        const result = await body(dir);
        await filesystem.checkLeaks?.(dir);
        if (fs.transport === 'io_uring' && fs.stats().ringRequests === 0)
          throw new Error('no request came by the ring');
        return result;
      } finally {
        await fs.close();
        await served;
      }
    });
  } finally {
    await rmdir(dir);
  }
}

/** How a suite ended. */
interface Ending {
  readonly failed: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
function execute(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ending> {
  const options = { env: { ...process.env, LC_ALL: 'C', ...env }, maxBuffer: 64 << 20 };
  return new Promise((resolve) => {
    execFile(program, [...args], options, (error, stdout, stderr) => {
      resolve({ failed: error !== null, stdout, stderr: stderr || (error?.message ?? '') });
    });
  });
}

/** Gives `body` a directory that is gone afterwards, and everybody can enter. */
async function withScratch<T>(body: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'ringfuse-scratch-'));
  try {
    await chmod(dir, 0o755);
    return await body(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Tests of pjdfstest that need not pass, and why. There is none that `memory()` or the library fails. */
export const exclusions: Readonly<Record<string, string>> = {
  'link::link_count_max':
    'it asks pathconf(3) for LINK_MAX, and glibc answers 127, "unknown", for every FUSE filesystem',
};

/** What came of a run of pjdfstest. */
export interface Conformance {
  readonly passed: number;
  /** Tests among the {@link exclusions} that did not pass. */
  readonly excluded: readonly { readonly name: string; readonly reason: string }[];
  /** All others that did not pass: a test that was skipped is a failure as well. */
  readonly failures: readonly { readonly name: string; readonly detail: string }[];
}

/** How a test of pjdfstest went, in its own words. */
export interface Outcome {
  readonly result: string;
  readonly detail: string;
}

/** How pjdfstest is run. */
interface Running {
  /** Whether tests may remount the filesystem read-only. */
  readonly remount?: boolean;
  /** Starts it: as another user, in namespaces. */
  readonly through?: readonly string[];
  /** Parts of the names of the tests that are run; default: all. */
  readonly patterns?: readonly string[];
}

/** Runs pjdfstest in a directory. Resolves to how each of its tests went. */
export function pjdfstestOutcomes(
  dir: string,
  { remount = false, through = [], patterns = [] }: Running = {},
): Promise<ReadonlyMap<string, Outcome>> {
  return withScratch(async (scratch) => {
    // mount(8) has a helper for FUSE, which would look for a program `ringfuse` to remount with.
    await writeFile(join(scratch, 'mount'), '#!/bin/sh\nexec /bin/mount --internal-only "$@"\n', {
      mode: 0o755,
    });
    const file = join(scratch, 'configuration.toml');
    await writeFile(file, await configuration(remount));
    // Another filesystem, in which anybody may make files and none has a name that a test wants.
    const secondary = join(scratch, 'secondary');
    await mkdir(secondary);
    await chmod(secondary, 0o1777);
    const [program, ...args] = [
      ...[...through, join(tools, 'pjdfstest'), '-c', file, '-p', dir, '-s', secondary],
      ...patterns,
    ];
    return parseOutcomes(await execute(program, args, { PATH: `${scratch}:${process.env.PATH}` }));
  });
}

/**
 * Runs the whole of pjdfstest in the root of a mount, as root.
 *
 * Tests that remount read-only run in a second process: the first one has files open for writing by then
 * (it fails so on tmpfs as well).
 */
export async function runPjdfstest(dir: string): Promise<Conformance> {
  const first = await pjdfstestOutcomes(dir);
  const second = await pjdfstestOutcomes(dir, { remount: true, patterns: ['erofs'] });
  return judge(new Map([...first, ...second]));
}

async function configuration(remount: boolean): Promise<string> {
  return `
    [features]
    posix_fallocate = {}
    rename_ctime = {}
    utime_now = {}
    utimensat = {}

    [settings]
    # Beyond the kernel's tick, which times come from.
    naptime = 0.011
    allow_remount = ${remount}

    [dummy_auth]
    entries = ${JSON.stringify(await twoUsers())}
  `;
}

/** Two users of this machine with groups of their own, by name. */
async function twoUsers(): Promise<[user: string, group: string][]> {
  const table = async (path: string): Promise<string[][]> =>
    (await readFile(path, 'utf8')).split('\n').map((line) => line.split(':'));
  const groups = new Map((await table('/etc/group')).map(([name, , gid]) => [gid, name]));
  const byGroup = new Map<string, string>();
  for (const [user, , uid, gid] of await table('/etc/passwd')) {
    const group = groups.get(gid);
    if (uid !== '0' && gid !== '0' && group !== undefined) byGroup.set(group, user);
  }
  return [...byGroup].slice(0, 2).map(([group, user]) => [user, group]);
}

function parseOutcomes({ stdout, stderr }: Ending): Map<string, Outcome> {
  const outcomes = new Map<string, Outcome>();
  const pattern = /^(\w+(?:::\w+)+) +(ok|skipped|FAILED)$((?:\n\t.*)*)/gm;
  for (const [, name, result, detail] of stdout.matchAll(pattern)) {
    outcomes.set(name, { result, detail: detail.trim().replaceAll(/\s*\n\s*/g, '; ') });
  }
  const total = /^Summary: .* (\d+) total$/m.exec(stdout)?.[1];
  if (Number(total) !== outcomes.size) {
    throw new Error(
      `pjdfstest: ${outcomes.size} of ${total} tests understood: ${stdout.slice(-500)}${stderr}`,
    );
  }
  return outcomes;
}

function judge(outcomes: ReadonlyMap<string, Outcome>): Conformance {
  const bad = [...outcomes].filter(([, { result }]) => result !== 'ok');
  return {
    passed: outcomes.size - bad.length,
    excluded: bad.flatMap(([name]) => (name in exclusions ? [{ name, reason: exclusions[name] }] : [])),
    failures: bad.flatMap(([name, { result, detail }]) =>
      name in exclusions ? [] : [{ name, detail: `${result}: ${detail}` }],
    ),
  };
}

/** What fsx is to do. */
export interface FsxOptions {
  readonly operations: number;
  /** From which the operations follow; a further process takes the next number. */
  readonly seed: number;
  /** Whether it reads and writes through mappings as well. */
  readonly mapped: boolean;
}

/** How often fsx does what, relative to the rest: everything that it can. */
const weights = {
  close_open: 1,
  read: 10,
  write: 10,
  truncate: 5,
  fsync: 0.5,
  fdatasync: 0.5,
  posix_fallocate: 2,
  punch_hole: 5,
  sendfile: 2,
  posix_fadvise: 2,
  copy_file_range: 3,
};

const mappingWeights = { mapread: 10, mapwrite: 10, invalidate: 1 };
const noMappingWeights = { mapread: 0, mapwrite: 0, invalidate: 0 };

/**
 * Operations of one process of fsx (0.3.2) that maps: it never unmaps what it read, and the kernel looks at each mapping
 * at every truncation.
 */
const MAPPED_OPERATIONS = 50_000;

/** Runs fsx on a file of a mount. Rejects with its log if a byte is not what it ought to be. */
export function runFsx(dir: string, { operations, seed, mapped }: FsxOptions): Promise<void> {
  return withScratch(async (scratch) => {
    const file = join(scratch, 'fsx.toml');
    const all = { ...weights, ...(mapped ? mappingWeights : noMappingWeights) };
    const lines = Object.entries(all).map(([name, weight]) => `${name} = ${weight.toFixed(1)}`);
    // Contents of 16 chunks of memory(), and operations on up to two of them.
    await writeFile(
      file,
      `flen = 1048576\n[opsize]\nmin = 1\nmax = 131072\n[weights]\n${lines.join('\n')}\n`,
    );
    const most = mapped ? MAPPED_OPERATIONS : operations;
    for (let done = 0, next = seed; done < operations; done += most, next++) {
      const count = Math.min(most, operations - done);
      const args = ['-f', file, '-N', `${count}`, '-S', `${next}`, '-P', scratch, join(dir, 'file')];
      const { failed, stdout, stderr } = await execute(join(tools, 'fsx'), args);
      if (failed) throw new Error(`fsx with seed ${next}: ${(stdout + stderr).slice(-4000)}`);
    }
  });
}
