/**
 * `npm run bench [-- quick|full] [-- --only SECTION]`: prepares everything, measures all sections, and writes a
 * report with verdicts into bench-results. `npm run bench -- COMMAND …` is one command of `ringfuse-bench`, as
 * `compare --server null,fuser --operations stat`; `npm run bench -- --help` lists them.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { prepare } from './prepare.mjs';
import { enableRing } from './ring-switch.mjs';
import { main, root, run, say, tee } from './run.mjs';
import { installBenchPrograms } from './test-programs.mjs';

const BINARY = `${root}target/release/ringfuse-bench`;
const RESULTS = `${root}bench-results`;

/** In the order in which they run; `units` is what a request costs in the process, without a mount. */
const SECTIONS = ['compare', 'work', 'scale', 'footprint', 'units'];
const PROFILES = ['quick', 'full'];

function build() {
  prepare();
  enableRing();
  say('building the benchmarks …');
  run('cargo', ['build', '--release', '--quiet', '--package=ringfuse-bench']);
}

/** What needs no kernel: parsing and replies in Rust, the same in TypeScript. Kept as the text that it is. */
async function runUnits() {
  const parts = [
    ['cargo', ['bench', '--quiet', '--package=ringfuse', '--all-features', '--benches']],
    ['node', ['--expose-gc', 'build/__bench__/decode.js']],
  ];
  let text = '';
  for (const [command, args] of parts) {
    const { output, succeeded } = await tee(command, args);
    if (!succeeded) throw new Error(`${[command, ...args].join(' ')} failed`);
    text += `${output}\n`;
  }
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(`${RESULTS}/units.txt`, text);
}

/** Runs every section; one that fails leaves the others to be reported on. */
async function runSuite(profile, only) {
  if (only !== undefined && !SECTIONS.includes(only)) {
    throw new Error(`--only ${only}: one of ${SECTIONS.join(', ')} is meant`);
  }
  installBenchPrograms();
  const failures = [];
  for (const section of SECTIONS.filter((name) => (only ?? name) === name)) {
    say(section);
    try {
      if (section === 'units') await runUnits();
      else run(BINARY, [section, `--profile=${profile}`, `--json=${RESULTS}/${section}.json`]);
    } catch (error) {
      failures.push(error.message);
    }
  }
  if (only !== 'units') run(BINARY, ['report', RESULTS]);
  if (failures.length > 0) throw new Error(failures.join('; '));
}

await main(async () => {
  const [first = 'quick', ...rest] = process.argv.slice(2);
  build();
  if (first === 'units') return runUnits();
  if (!PROFILES.includes(first) && first !== '--only') return run(BINARY, [first, ...rest]);
  const { values } = parseArgs({
    args: first === '--only' ? [first, ...rest] : rest,
    options: { only: { type: 'string' } },
  });
  await runSuite(first === '--only' ? 'quick' : first, values.only);
});
