/** What a check finds. */

/**
 * `ok`: as it should be. `hint`: a ring mount works, and could be faster. `warning`: not as it should be or unknown, and
 * a ring mount may work all the same. `problem`: in the way of a ring mount.
 */
export type Status = 'ok' | 'hint' | 'warning' | 'problem';

/** One finding of `ringfuse doctor`. */
export interface Check {
  /** What was looked at. */
  readonly check: string;
  readonly status: Status;
  /** What was found. */
  readonly detail: string;
  /** The command that fixes it. */
  readonly remedy?: string;
}

/** All findings, and what works in the end: mounts were tried. */
export interface Findings {
  /** Whether a mount has the ring here. */
  readonly ring: boolean;
  /** Whether a mount over /dev/fuse works here. */
  readonly devFuse: boolean;
  readonly checks: readonly Check[];
}

/** All is well. */
export const ok = (check: string, detail: string): Check => ({ check, status: 'ok', detail });

/** Something that costs time, and nothing else. */
export const hint = (check: string, detail: string, remedy: string): Check => ({
  check,
  status: 'hint',
  detail,
  remedy,
});

/** Something that need not be in the way. */
export const warning = (check: string, detail: string, remedy: string): Check => ({
  check,
  status: 'warning',
  detail,
  remedy,
});

/** Something that is in the way of a ring mount. */
export const problem = (check: string, detail: string, remedy: string): Check => ({
  check,
  status: 'problem',
  detail,
  remedy,
});
