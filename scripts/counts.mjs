/** What the test runners say of themselves: how many tests passed, failed and were skipped. */

/** From the `test result:` lines of `cargo test`, one a test binary. */
export function countCargo(output) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, passed, failed, ignored] of output.matchAll(
    /^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored;/gm,
  )) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(ignored);
  }
  return counts;
}

/** From the result lines of TAP version 13. A test file that crashed has a line, and counts as failed. */
export function countTap(output) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, not, directive] of output.matchAll(/^(not )?ok \d+\b.*?(?:# (SKIP|TODO)\b.*)?$/gm)) {
    if (directive) counts.skipped += 1;
    else if (not) counts.failed += 1;
    else counts.passed += 1;
  }
  return counts;
}
