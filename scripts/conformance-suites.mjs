/** The conformance suites, which are programs of crates.io. */

import { installTools } from './cargo-tools.mjs';
import { say } from './run.mjs';

const SUITES = ['pjdfstest@0.2.2', 'fsx@0.3.2'];

/** Builds what is missing. Whether they are there then. */
export function installConformanceSuites() {
  const problem = installTools(...SUITES);
  if (problem !== undefined) say(`${problem}; pjdfstest and fsx are skipped`);
  return problem === undefined;
}
