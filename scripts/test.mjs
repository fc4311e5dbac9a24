/**
 * `npm test [-- --only lint|cargo|ava [ARGUMENTS OF THE RUNNER]]`: prepares everything, runs all checks and
 * tests, and ends with one line that adds up what the runners counted.
 */

import { parseArgs } from 'node:util';
import { mountControlFilesystem } from './control-filesystem.mjs';
import { countCargo, countTap } from './counts.mjs';
import { prepare } from './prepare.mjs';
import { enableRing } from './ring-switch.mjs';
import { bin, say, tee } from './run.mjs';
import { removeStaleMounts } from './stale-mounts.mjs';
import { installTestPrograms } from './test-programs.mjs';

const NOTHING = { passed: 0, failed: 0, skipped: 0 };

/** Lint steps have no counts of their own: one that fails is one failure. */
const STEPS = [
  { group: 'lint', command: 'cargo', args: ['fmt', '--all', '--check'] },
  {
    group: 'lint',
    command: 'cargo',
    args: ['clippy', '--workspace', '--all-targets', '--', '-D', 'warnings'],
  },
  {
    group: 'lint',
    command: 'cargo',
    args: ['doc', '--workspace', '--no-deps', '--document-private-items'],
    env: { RUSTDOCFLAGS: '-D warnings' },
  },
  { group: 'lint', command: bin('biome'), args: ['check', '--error-on-warnings'] },
  { group: 'cargo', command: 'cargo', args: ['test', '--workspace', '--no-fail-fast'], count: countCargo },
  { group: 'ava', command: bin('ava'), args: ['--tap'], count: countTap },
  { group: 'ava', command: 'node', args: ['scripts/protocol-table.mjs', '--check'], whole: true },
];

const titleOf = ({ command, args }) => [command.split('/').pop(), ...args].join(' ');

/** Runs a step. A runner that fails without a failed test, as it could not start, counts as one failure. */
async function runStep(step) {
  const { command, args, env, count = () => NOTHING } = step;
  say(titleOf(step));
  const { output, succeeded } = await tee(command, args, { env: { ...process.env, ...env } });
  const counts = count(output);
  return succeeded || counts.failed > 0 ? counts : { ...counts, failed: 1 };
}

async function runAll() {
  const { values, positionals } = parseArgs({
    options: { only: { type: 'string' } },
    allowPositionals: true,
  });
  const steps = STEPS.filter(({ group }) => (values.only ?? group) === group);
  if (steps.length === 0) throw new Error(`--only ${values.only}: one of lint, cargo, ava is meant`);

  prepare();
  if (values.only !== 'lint') {
    removeStaleMounts();
    installTestPrograms();
    enableRing();
    mountControlFilesystem();
  }
  const total = { ...NOTHING };
  const failures = [];
  for (const step of steps) {
    // It looks at the results of all tests.
    if (step.whole && positionals.length > 0) continue;
    const counts = await runStep({ ...step, args: [...step.args, ...positionals] });
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
