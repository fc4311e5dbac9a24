/**
 * `npm run bench [-- quick|full] [-- --only SECTION]`: prepares everything, measures all sections, and writes a
 * report with verdicts into bench-results. `npm run bench -- COMMAND …` is one command of `ringfuse-bench`, as
 * `compare --server null,fuser --operations stat`; `npm run bench -- --help` lists them.
 */

import { parseArgs } from 'node:util';
import { prepare } from './prepare.mjs';
import { enableRing } from './ring-switch.mjs';
import { main, root, run, say } from './run.mjs';
import { removeStaleMounts } from './stale-mounts.mjs';
import { installBenchPrograms } from './test-programs.mjs';

const BINARY = `${root}target/release/ringfuse-bench`;
const RESULTS = `${root}bench-results`;

/** In the order in which they run. */
const SECTIONS = ['compare', 'work', 'scale', 'footprint'];
const PROFILES = ['quick', 'full'];

function build() {
  prepare();
  enableRing();
  removeStaleMounts();
  say('building the benchmarks …');
  run('cargo', ['build', '--release', '--quiet', '--package=ringfuse-bench']);
}

/** Runs every section; one that fails leaves the others to be reported on. */
function runSuite(profile, only) {
  if (only !== undefined && !SECTIONS.includes(only)) {
    throw new Error(`--only ${only}: one of ${SECTIONS.join(', ')} is meant`);
  }
  installBenchPrograms();
  const failures = [];
  for (const section of SECTIONS.filter((name) => (only ?? name) === name)) {
    say(section);
    try {
      run(BINARY, [section, `--profile=${profile}`, `--json=${RESULTS}/${section}.json`]);
    } catch (error) {
      failures.push(error.message);
    }
  }
  run(BINARY, ['report', RESULTS]);
  if (failures.length > 0) throw new Error(failures.join('; '));
}

await main(async () => {
  const [first = 'quick', ...rest] = process.argv.slice(2);
  build();
  if (!PROFILES.includes(first) && first !== '--only') return run(BINARY, [first, ...rest]);
  const { values } = parseArgs({
    args: first === '--only' ? [first, ...rest] : rest,
    options: { only: { type: 'string' } },
  });
  runSuite(first === '--only' ? 'quick' : first, values.only);
});
