/** The programs that end-to-end tests run on mounts. A test whose program is missing is skipped. */

import { installConformanceSuites } from './conformance-suites.mjs';
import { exists, isRoot, run, say } from './run.mjs';

/** Program → Debian package. */
const PROGRAMS = {
  fio: 'fio',
  fusermount3: 'fuse3',
  git: 'git',
  rsync: 'rsync',
  setfattr: 'attr',
  sqlite3: 'sqlite3',
  'stress-ng': 'stress-ng',
};

const apt = (...args) =>
  run('apt-get', ['-qq', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });

/** Installs what is missing, where this process may. */
export function installTestPrograms() {
  installConformanceSuites();
  installDistributionPrograms();
}

function installDistributionPrograms() {
  const missing = Object.keys(PROGRAMS).filter((program) => !exists(program));
  if (missing.length === 0) return;
  if (!isRoot || !exists('apt-get')) return say(`missing, their tests are skipped: ${missing.join(', ')}`);

  say(`installing programs for the tests: ${missing.join(', ')} …`);
  const packages = missing.map((program) => PROGRAMS[program]);
  try {
    apt('update');
    apt('install', '--yes', '--no-install-recommends', ...packages);
  } catch (error) {
    say(`${error.message}; the tests that need them are skipped`);
  }
}
