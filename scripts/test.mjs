/**
 * `npm test [-- --only lint|cargo|ava|soak [ARGUMENTS OF THE RUNNER]]`: prepares everything, runs all checks and
 * tests, and ends with one line that adds up what the runners counted.
 *
 * What mounts is run twice, once over each transport; RINGFUSE_TEST_TRANSPORT in the environment chooses one.
 */

import { parseArgs } from 'node:util';
import { countCargo, countTap } from './counts.mjs';
import { Leftovers } from './leftovers.mjs';
import { announceTests, prepareTests } from './machine.mjs';
import { prepare } from './prepare.mjs';
import { bin, say, tee } from './run.mjs';
import { removeStaleMounts } from './stale-mounts.mjs';
import { judgeTransport, obstacleTo } from './transports.mjs';

const NOTHING = { passed: 0, failed: 0, skipped: 0 };

/** Lint steps have no counts of their own: one that fails is one failure. */
const STEPS = [
  { group: 'lint', command: 'cargo', args: ['fmt', '--all', '--check'] },
  {
    group: 'lint',
    command: 'cargo',
    args: ['clippy', '--workspace', '--all-targets', '--all-features', '--', '-D', 'warnings'],
  },
  {
    group: 'lint',
    command: 'cargo',
    args: ['doc', '--workspace', '--no-deps', '--document-private-items'],
    env: { RUSTDOCFLAGS: '-D warnings' },
  },
  { group: 'lint', command: 'node', args: ['scripts/unsafe-modules.mjs'] },
  { group: 'lint', command: bin('biome'), args: ['check', '--error-on-warnings'] },
  { group: 'cargo', command: 'cargo', args: ['test', '--workspace', '--no-fail-fast'], count: countCargo },
  { group: 'ava', command: bin('ava'), args: ['--tap'], count: countTap, transport: 'io_uring' },
  { group: 'ava', command: bin('ava'), args: ['--tap'], count: countTap, transport: 'dev_fuse' },
  { group: 'ava', command: 'node', args: ['scripts/tables.mjs', '--check'], whole: true },
  {
    group: 'soak',
    command: 'node',
    args: ['scripts/soak.mjs', '--prepared', '--seconds', '60'],
    count: countTap,
    whole: true,
  },
];

const titleOf = ({ command, args, transport }) =>
  [command.split('/').pop(), ...args, ...(transport ? [`over ${transport}`] : [])].join(' ');

/** The environment of a step: over a transport, what mounts nothing is tested with the first one only. */
function environmentOf({ env, transport }, whole) {
  if (transport === undefined) return { ...process.env, ...env };
  const units = whole && transport !== 'io_uring' ? { RINGFUSE_TEST_UNITS: 'no' } : {};
  return { ...process.env, RINGFUSE_TEST_TRANSPORT: transport, ...units };
}

/** Milliseconds after which a step waits for something that does not come: mounts are aborted then. */
const DEADLINE = 45 * 60_000;

/** Runs a step. A runner that fails without a failed test, as it could not start, counts as one failure. */
async function runStep(step, whole) {
  const leftovers = new Leftovers();
  const timer = setTimeout(() => {
    say(`${titleOf(step)} has not ended in ${DEADLINE / 60_000} minutes: its mounts are aborted`);
    leftovers.end();
  }, DEADLINE);
  const counts = await runCommand(step, whole);
  clearTimeout(timer);
  const lines = await leftovers.lines();
  for (const line of lines) say(`left behind: ${line}`);
  if (lines.length > 0) leftovers.end();
  return { ...counts, failed: counts.failed + lines.length };
}

async function runCommand(step, whole) {
  const { command, args, transport, count = () => NOTHING } = step;
  say(titleOf(step));
  const { output, succeeded } = await tee(command, args, { env: environmentOf(step, whole) });
  const counts = count(output);
  const proven = transport === undefined || judgeTransport(transport);
  return (succeeded && proven) || counts.failed > 0 ? counts : { ...counts, failed: 1 };
}

async function runAll() {
  const { values, positionals } = parseArgs({
    options: { only: { type: 'string' } },
    allowPositionals: true,
  });
  const steps = STEPS.filter(({ group }) => (values.only ?? group) === group);
  if (steps.length === 0) throw new Error(`--only ${values.only}: one of lint, cargo, ava, soak is meant`);

  if (values.only !== 'lint') announceTests();
  prepare();
  if (values.only !== 'lint') {
    await removeStaleMounts();
    prepareTests();
  }
  const total = { ...NOTHING };
  const failures = [];
  const whole = positionals.length === 0;
  const { RINGFUSE_TEST_TRANSPORT: only } = process.env;
  for (const step of steps) {
    // It looks at the results of all tests.
    if (step.whole && (!whole || only !== undefined)) continue;
    if (step.transport !== undefined && only !== undefined && step.transport !== only) continue;
    const obstacle = await obstacleTo(step.transport);
    if (obstacle !== undefined) {
      say(`skipped: ${titleOf(step)} (${obstacle.check}: ${obstacle.detail})`);
      total.skipped += 1;
      continue;
    }
    const counts = await runStep({ ...step, args: [...step.args, ...positionals] }, whole);
    for (const key of Object.keys(total)) total[key] += counts[key];
    if (counts.failed > 0) failures.push(titleOf(step));
  }
  for (const failure of failures) say(`failed: ${failure}`);
  return total;
}

const total = await runAll().catch((error) => {
  console.error(`ringfuse: ${error.message}`);
  return { ...NOTHING, failed: 1 };
});
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 ? 1 : 0;
