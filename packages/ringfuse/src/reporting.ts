/** Errors that no caller gets: they go to `onError`, or to standard error, where they are limited. */

import process from 'node:process';
import { debuglog } from 'node:util';
import { type ErrorRecord, recordOf } from './foreign-errors.ts';
import type { Request } from './requests/index.ts';

/** Milliseconds in which an error of one kind is a line once. */
const INTERVAL = 10_000;

/** Kinds that are told apart in one interval. */
const MOST_KINDS = 64;

/** Characters of a message in a line. */
const LONGEST_MESSAGE = 200;

/** With `NODE_DEBUG=ringfuse` every error is written with its stack, also those that are a caller's errno. */
export const debug: ReturnType<typeof debuglog> = debuglog('ringfuse');

/** The option `onError`. */
export type OnError = (error: unknown, request: Request | undefined) => unknown;

/** Reports errors. It never throws, whatever is reported, and whatever `onError` does. */
export class Reporter {
  readonly #onError: OnError | undefined;
  /** The kinds of this interval: the line that was written, and how many were left out. */
  readonly #kinds: Map<string, { readonly line: string; leftOut: number }> = new Map();
  #timer: NodeJS.Timeout | undefined;

  constructor(onError: OnError | undefined) {
    this.#onError = onError;
  }

  /** An error of a request's handler, or of the mount. */
  report(error: unknown, request: Request | undefined): void {
    const about = request?.op ?? 'mount';
    if (debug.enabled) debug('%s: %s', about, completeText(error));
    const onError = this.#onError;
    if (onError === undefined) {
      this.#warn(error, about);
      return;
    }
    const failed = (failure: unknown): void => {
      this.#warn(failure, 'onError');
      this.#warn(error, about);
    };
    try {
      const returned = onError(error, request);
      if (typeof returned === 'object' && returned !== null) Promise.resolve(returned).catch(failed);
    } catch (failure) {
      failed(failure);
    }
  }

  /** Writes what is still to be said. */
  close(): void {
    clearTimeout(this.#timer);
    this.#summarize();
  }

  #warn(error: unknown, about: string): void {
    const record = recordOf(error);
    const place = placeOf(record);
    let kind = `${about} ${record.name} ${place ?? record.message}`;
    let line = `${about}: ${summaryOf(record, place)}`;
    if (!this.#kinds.has(kind) && this.#kinds.size >= MOST_KINDS) kind = line = 'errors of other kinds';
    const known = this.#kinds.get(kind);
    if (known !== undefined) {
      known.leftOut++;
      return;
    }
    this.#kinds.set(kind, { line, leftOut: 0 });
    warn(line);
    this.#timer ??= setTimeout(() => this.#summarize(), INTERVAL).unref();
  }

  #summarize(): void {
    this.#timer = undefined;
    for (const { line, leftOut } of this.#kinds.values()) if (leftOut > 0) warn(`${line}: ${leftOut} more`);
    this.#kinds.clear();
  }
}

/** @internal All that is known of an error, with its stack. */
export function completeText(error: unknown): string {
  const { stack, message } = recordOf(error);
  return stack ?? message;
}

/** Where an error was made. */
function placeOf({ stack }: ErrorRecord): string | undefined {
  return stack
    ?.split('\n')
    .find((frame) => /^ +at /.test(frame))
    ?.trim();
}

/** Name, message and place in one line. */
function summaryOf({ name, message }: ErrorRecord, place: string | undefined): string {
  const [first] = `${name}: ${message}`.split('\n', 1);
  const short = first.length > LONGEST_MESSAGE ? `${first.slice(0, LONGEST_MESSAGE)}…` : first;
  return place === undefined ? short : `${short} ${place}`;
}

function warn(line: string): void {
  process.emitWarning(line, { type: 'RingfuseWarning', code: 'RINGFUSE_UNREPORTED' });
}
