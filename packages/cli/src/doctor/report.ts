/** Findings as text and as JSON. */

import type { Check } from './check.ts';

/** Whether a ring mount would work, as far as the findings go. */
export function ringWorks(checks: readonly Check[]): boolean {
  return checks.every(({ status }) => status !== 'problem');
}

/** The findings as `ringfuse doctor` prints them: a line each, and a line below with what mends it. */
export function report(checks: readonly Check[], json: boolean): string {
  const ring = ringWorks(checks);
  if (json) return `${JSON.stringify({ ring, checks }, undefined, 2)}\n`;

  const width = Math.max(...checks.map(({ check }) => check.length));
  const lines = checks.flatMap(({ check, status, detail, remedy }) => [
    `${status.padEnd('problem'.length)}  ${check.padEnd(width)}  ${detail}`,
    ...(remedy === undefined ? [] : [`${' '.repeat('problem'.length + width + 4)}→ ${remedy}`]),
  ]);
  const verdict = ring
    ? 'A mount over FUSE-over-io_uring works here.'
    : 'A mount over FUSE-over-io_uring fails here.';
  return `${[...lines, '', verdict].join('\n')}\n`;
}
