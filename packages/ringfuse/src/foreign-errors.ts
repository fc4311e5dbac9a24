/** Errors that a filesystem's code throws: any value, of which every property may throw or lie. */

import { inspect } from 'node:util';
import { isNativeError } from 'node:util/types';
import { type ErrorCode, FuseError, isCode } from './errors.ts';

/** What is known of an error, as plain values: it can be posted to another thread. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | undefined;
  readonly errno: number | undefined;
  readonly syscall: string | undefined;
  /** Whether it is an error of this package, with a code of its own. */
  readonly own: boolean;
}

/** Describes what was thrown; it never throws. `prefix` goes before the message. */
export function recordOf(error: unknown, prefix = ''): ErrorRecord {
  if (!isNativeError(error)) {
    const message = prefix + describe(error);
    return {
      name: 'Error',
      message,
      stack: undefined,
      code: undefined,
      errno: undefined,
      syscall: undefined,
      own: false,
    };
  }
  const errno = property(error, 'errno');
  const code = text(error, 'code');
  return {
    name: text(error, 'name') ?? 'Error',
    message: prefix + (text(error, 'message') ?? 'an error whose message cannot be read'),
    stack: text(error, 'stack'),
    code,
    errno: typeof errno === 'number' ? errno : undefined,
    syscall: text(error, 'syscall'),
    // Another version of the package, or an assignment, may have put another code there.
    own: FuseError.is(error) && isCode(code),
  };
}

/** An error as its record says. */
export function errorOf({ name, message, stack, code, errno, syscall, own }: ErrorRecord): Error {
  const error = own
    ? new FuseError(code as ErrorCode, message, { errno, syscall })
    : Object.assign(new Error(message), code === undefined ? {} : { code });
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true });
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** A value in a few words. */
function describe(value: unknown): string {
  if (typeof value === 'string') return value;
  try {
    return inspect(value, { customInspect: false, depth: 0, breakLength: Number.POSITIVE_INFINITY });
  } catch {
    return `a value that cannot be read (${typeof value})`;
  }
}

function property(error: object, name: string): unknown {
  try {
    return (error as Readonly<Record<string, unknown>>)[name];
  } catch {
    return undefined;
  }
}

function text(error: object, name: string): string | undefined {
  const value = property(error, name);
  return typeof value === 'string' ? value : undefined;
}
