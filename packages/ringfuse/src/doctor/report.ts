/** Findings as text and as JSON. */

import type { Findings } from './check.ts';

/** The findings as `ringfuse doctor` prints them: a line each, and a line below with what fixes it. */
export function report(findings: Findings, json: boolean): string {
  if (json) return `${JSON.stringify(findings, undefined, 2)}\n`;

  const { checks } = findings;
  const width = Math.max(...checks.map(({ check }) => check.length));
  const lines = checks.flatMap(({ check, status, detail, remedy }) => [
    `${status.padEnd('problem'.length)}  ${check.padEnd(width)}  ${detail}`,
    ...(remedy === undefined ? [] : [`${' '.repeat('problem'.length + width + 4)}→ ${remedy}`]),
  ]);
  return `${[...lines, '', verdict(findings)].join('\n')}\n`;
}

function verdict({ ring, devFuse }: Findings): string {
  if (ring) return 'A mount over FUSE-over-io_uring works here.';
  if (devFuse)
    return 'A mount over FUSE-over-io_uring fails here. Over /dev/fuse it works, with the same API: the default takes that.';
  return 'No mount works here.';
}
