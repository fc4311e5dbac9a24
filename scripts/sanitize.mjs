/**
 * `npm run sanitize [-- --only NAME] [--seconds N]`: looks for what the tests alone do not show: undefined behaviour,
 * races, memory errors, orders of threads, inputs that nobody thought of, dependencies with known faults. What this
 * machine cannot do is skipped, and why is said. `--seconds` is how long each fuzz target runs.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { installTools } from './cargo-tools.mjs';
import { exists, isRoot, main, root, say } from './run.mjs';

const HOST = /^host: (.*)$/m;
const FUZZ = `${root}crates/ringfuse/fuzz`;
const TARGET = `${root}target/sanitize`;
const CORE = ['-p', 'fuse-abi', '-p', 'ringfuse'];

/** Modules whose tests make no system call that Miri lacks. */
const INTERPRETED = ['channel::', 'mailbox::', 'cpu::', 'negotiate::', 'notify::'];

/** Tests that run threads, or mount. */
const THREADED = ['-p', 'ringfuse', '--lib', '--test', 'channels', '--test', 'rescue'];

const MINUTE = 60_000;

/** Runs a command with this terminal, or keeps what it says; returns that, and its success. */
function attempt(command, args, { env = {}, keeps = false } = {}) {
  if (!keeps) say([command, ...args].join(' '));
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    stdio: keeps ? 'pipe' : 'inherit',
    timeout: 30 * MINUTE,
  });
  return { succeeded: !error && status === 0, output: [stdout, stderr, error?.message].join('\n') };
}

const nightly = (...args) => attempt('cargo', ['+nightly', ...args], { keeps: true });

/** Why nothing can be done with the nightly compiler, if it cannot. */
const noNightly = () =>
  nightly('--version').succeeded
    ? undefined
    : 'it needs the nightly compiler: `rustup toolchain install nightly`';

/** Adds components to the nightly compiler; whether they are there then. */
const addComponents = (...components) =>
  attempt('rustup', ['component', 'add', '--toolchain', 'nightly', ...components], { keeps: true }).succeeded;

/** Runs tests built with a sanitizer. */
function sanitized(name, tests, { flags = [], options = {} } = {}) {
  const { output } = attempt('rustc', ['+nightly', '-vV'], { keeps: true });
  const args = ['+nightly', 'test', '--target', HOST.exec(output)[1], '--no-fail-fast', ...tests];
  const env = {
    CARGO_TARGET_DIR: `${TARGET}/${name}`,
    RUSTFLAGS: [`-Zsanitizer=${name}`, ...flags].join(' '),
    ...options,
  };
  return attempt('cargo', args, { env }).succeeded;
}

/** The checks: why one is skipped, if it is, and whether it succeeded. `skipped` says why in the middle of one. */
const CHECKS = {
  miri: {
    skip: () =>
      noNightly() ??
      (addComponents('miri', 'rust-src') ? undefined : 'components miri and rust-src cannot be had'),
    run: () =>
      [
        ['-p', 'ringfuse', '--test', 'parse'],
        ['-p', 'ringfuse', '--lib', '--', ...INTERPRETED],
      ].every(
        (tests) =>
          attempt('cargo', ['+nightly', 'miri', 'test', ...tests], {
            env: { CARGO_TARGET_DIR: `${TARGET}/miri`, MIRIFLAGS: '-Zmiri-disable-isolation' },
          }).succeeded,
      ),
  },
  address: { skip: noNightly, run: () => sanitized('address', CORE) },
  thread: {
    skip: noNightly,
    run() {
      // Built along, the standard library is sanitized too.
      if (addComponents('rust-src')) return sanitized('thread', ['-Zbuild-std', ...THREADED]);
      say('the standard library is not sanitized: its sources, component rust-src, cannot be had');
      return sanitized('thread', THREADED, {
        flags: ['-Cunsafe-allow-abi-mismatch=sanitizer'],
        options: { TSAN_OPTIONS: `suppressions=${root}scripts/thread-sanitizer.txt` },
      });
    },
  },
  loom: {
    run: () =>
      attempt('cargo', ['test', '-p', 'ringfuse', '--lib', 'orders'], {
        env: { CARGO_TARGET_DIR: `${TARGET}/loom`, RUSTFLAGS: '--cfg loom' },
      }).succeeded,
  },
  fuzz: {
    skip: () => noNightly() ?? installTools('cargo-fuzz@0.13.2'),
    run: ({ seconds }) =>
      readdirSync(`${FUZZ}/fuzz_targets`).every((file) => {
        const target = file.replace('.rs', '');
        // What is found goes into the first folder.
        const corpora = [`${TARGET}/corpus/${target}`, `${FUZZ}/corpus/${target}`];
        mkdirSync(corpora[0], { recursive: true });
        const args = ['+nightly', 'fuzz', 'run', '--fuzz-dir', FUZZ, target, ...corpora];
        const limits = [
          '--',
          `-max_total_time=${seconds}`,
          '-max_len=4096',
          '-verbosity=0',
          '-print_final_stats=1',
        ];
        return attempt('cargo', [...args, ...limits], { env: { CARGO_TARGET_DIR: `${TARGET}/fuzz` } })
          .succeeded;
      }),
  },
  dependencies: {
    skip: () => installTools('cargo-deny@0.20.2'),
    run: () => attempt('cargo', ['deny', '--all-features', 'check', 'bans', 'licenses', 'sources']).succeeded,
  },
  advisories: {
    skip: () => installTools('cargo-deny@0.20.2'),
    run({ skipped }) {
      const { succeeded, output } = attempt('cargo', ['deny', 'check', 'advisories'], { keeps: true });
      console.log(output);
      if (/failed to fetch advisory database/.test(output)) return skipped('its database cannot be reached');
      return succeeded;
    },
  },
  audit: {
    run({ skipped }) {
      const { succeeded, output } = attempt('npm', ['audit', '--loglevel=error'], { keeps: true });
      console.log(output);
      if (/audit endpoint returned an error/.test(output)) return skipped('the registry answers no audits');
      return succeeded;
    },
  },
};

main(() => {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, seconds: { type: 'string', default: '30' } },
  });
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new Error(`--seconds ${values.seconds}: a number of seconds is meant`);
  const names = Object.keys(CHECKS).filter((name) => (values.only ?? name) === name);
  if (names.length === 0)
    throw new Error(`--only ${values.only}: one of ${Object.keys(CHECKS).join(', ')} is meant`);
  if (!exists('cargo')) throw new Error('cargo is not installed');
  if (!isRoot) say('tests that mount say that they are not run: mounting needs root');

  const outcomes = names.map((name) => {
    const { skip, run } = CHECKS[name];
    let reason = skip?.();
    const skipped = (why) => {
      reason = why;
      return true;
    };
    const succeeded = reason !== undefined || run({ seconds, skipped });
    const outcome = reason !== undefined ? 'skipped' : succeeded ? 'passed' : 'failed';
    return { name, outcome, reason };
  });
  for (const { name, outcome, reason } of outcomes) say(`${name}: ${outcome}${reason ? `: ${reason}` : ''}`);
  const count = (wanted) => outcomes.filter(({ outcome }) => outcome === wanted).length;
  console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
  if (count('failed') > 0) process.exitCode = 1;
});
