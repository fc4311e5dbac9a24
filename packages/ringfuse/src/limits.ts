import { timeoutsByOpcode } from './deadlines.ts';
import type { MountOptions } from './options.ts';

/** Milliseconds. */
const STALL_TIMEOUT = 5000;

/** What a mount holds its handlers to. */
export interface Limits {
  /** Milliseconds for an answer, by opcode; undefined if none has a deadline. */
  readonly timeouts: readonly number[] | undefined;
  /** Requests that can be in handlers at once, but for those that may wait for others. */
  readonly maxOutstanding: number;
  /** Whether views that are used after the reply are to be found. */
  readonly checkViews: boolean;
  /** Milliseconds after which a stall is reported; undefined: never. */
  readonly stallTimeout: number | undefined;
  /** Whether requests are ended then. */
  readonly failOnStall: boolean;
}

/**
 * The limits that options ask for.
 * @throws FuseError `ERR_RINGFUSE_OPTION`.
 */
export function limitsOf(options: MountOptions): Limits {
  const { timeout, maxOutstanding, checkViews, onStall, stallTimeout = STALL_TIMEOUT } = options;
  return {
    timeouts: timeout === undefined ? undefined : timeoutsByOpcode(timeout),
    maxOutstanding: maxOutstanding ?? Number.POSITIVE_INFINITY,
    checkViews: checkViews ?? process.env.RINGFUSE_CHECK_VIEWS === '1',
    stallTimeout: onStall === 'ignore' ? undefined : stallTimeout,
    failOnStall: onStall === 'fail',
  };
}
