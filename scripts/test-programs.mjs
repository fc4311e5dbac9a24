/** The programs that end-to-end tests and benchmarks run on mounts. */

import { spawnSync } from 'node:child_process';
import { installConformanceSuites } from './conformance-suites.mjs';
import { exists, isRoot, run, say } from './run.mjs';

/** Program, or shared library → Debian package. */
const TEST_PROGRAMS = {
  fio: 'fio',
  fusermount3: 'fuse3',
  git: 'git',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.vfat': 'dosfstools',
  'mkfs.xfs': 'xfsprogs',
  python3: 'python3',
  rsync: 'rsync',
  setfattr: 'attr',
  sqlite3: 'sqlite3',
  setfacl: 'acl',
  'stress-ng': 'stress-ng',
};

/** The programs that the benchmarks time on mounts, and the library of `fuse-native`. */
const BENCH_PROGRAMS = {
  fusermount3: 'fuse3',
  git: 'git',
  'libfuse.so.2': 'libfuse2',
  rg: 'ripgrep',
  sqlite3: 'sqlite3',
  tar: 'tar',
};

const apt = (...args) =>
  run('apt-get', ['-qq', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });

/** What {@link installTestPrograms} is going to do outside of the clone, a line each. */
export function testProgramChanges() {
  const missing = missingOf(TEST_PROGRAMS);
  if (missing.length === 0 || !mayInstall()) return [];
  const packages = missing.map((program) => TEST_PROGRAMS[program]);
  return [`install the Debian packages ${packages.join(', ')} (apt-get update, apt-get install)`];
}

/** Installs what is missing, where this process may. */
export function installTestPrograms() {
  installConformanceSuites();
  install(TEST_PROGRAMS, 'the tests that need them are skipped');
}

/** The same for the benchmarks. */
export function installBenchPrograms() {
  install(BENCH_PROGRAMS, 'the tasks and servers that need them fail');
}

/** Whether the dynamic linker knows a library. */
const isLibrary = (name) =>
  spawnSync('ldconfig', ['-p'], { encoding: 'utf8' }).stdout?.includes(name) ?? false;

const missingOf = (programs) =>
  Object.keys(programs).filter((name) => !(name.includes('.so') ? isLibrary : exists)(name));

const mayInstall = () => isRoot && exists('apt-get');

function install(programs, otherwise) {
  const missing = missingOf(programs);
  if (missing.length === 0) return;
  if (!mayInstall()) return say(`missing, ${otherwise}: ${missing.join(', ')}`);

  say(`installing ${missing.join(', ')} …`);
  const packages = missing.map((program) => programs[program]);
  try {
    apt('update');
    apt('install', '--yes', '--no-install-recommends', ...packages);
  } catch (error) {
    say(`${error.message}; ${otherwise}`);
  }
}
