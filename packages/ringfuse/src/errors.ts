/** Errors with stable codes, in the shape of Node's system errors. */

import { constants } from 'node:os';

/** The name of an errno of this machine: `'ENOENT'`. */
export type ErrnoName = keyof typeof constants.errno;

/** The code of a {@link FuseError}. */
export type ErrorCode = ErrnoName | `ERR_RINGFUSE_${string}`;

const errnos: Readonly<Record<string, number>> = constants.errno;
const brand = Symbol.for('ringfuse.error');

/**
 * An error of ringfuse, or one for a caller of the filesystem: thrown by a handler, `new FuseError('ENOENT')`
 * makes the caller's system call fail with ENOENT.
 */
export class FuseError extends Error {
  /** `'ENOENT'` and its like, or one of `ERR_RINGFUSE_*`: see `docs/errors.md`. */
  readonly code: ErrorCode;
  /** The errno, negative as in Node's system errors, where there is one. */
  readonly errno: number | undefined;
  /** The system call that failed, where one did. */
  readonly syscall: string | undefined;

  /** @throws TypeError if `code` is neither an errno's name nor one of `ERR_RINGFUSE_*`, and no `errno` is given. */
  constructor(code: ErrorCode, message: string = code, options: FuseErrorOptions = {}) {
    super(message, options);
    if (options.errno === undefined && !isCode(code)) {
      throw new TypeError(
        `FuseError: ${JSON.stringify(code)} is no errno of this machine, nor ERR_RINGFUSE_*`,
      );
    }
    this.name = 'FuseError';
    this.code = code;
    const errno = errnos[code];
    this.errno = options.errno ?? (errno === undefined ? undefined : -errno);
    this.syscall = options.syscall;
    Object.defineProperty(this, brand, { value: true });
  }

  /** Whether a value is an error of ringfuse, of any copy of this package. */
  static is(value: unknown): value is FuseError {
    try {
      return typeof value === 'object' && value !== null && brand in value;
    } catch {
      // A proxy whose traps throw.
      return false;
    }
  }
}

/** Whether a {@link FuseError} may have the code. */
export function isCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && (code in errnos || code.startsWith('ERR_RINGFUSE_'));
}

/** What a {@link FuseError} may carry beside code and message. */
export interface FuseErrorOptions {
  /** The error behind this one. */
  readonly cause?: unknown;
  /** The errno, negative; default: that of `code`. */
  readonly errno?: number;
  /** The system call that failed. */
  readonly syscall?: string;
}

/**
 * The errno (positive) that an error stands for: by its `code` if that is an errno's name, by its `errno`
 * otherwise. Undefined if it has neither, or they cannot be read.
 */
export function errnoOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  try {
    const { code, errno } = error as { code?: unknown; errno?: unknown };
    if (typeof code === 'string' && Object.hasOwn(errnos, code)) return errnos[code];
    return typeof errno === 'number' ? checkErrno(Math.abs(errno)) : undefined;
  } catch {
    return undefined;
  }
}

/** The errno (positive) of a name or number, as `fail` takes it. */
export function errnoFrom(error: ErrnoName | number): number {
  const errno = typeof error === 'number' ? checkErrno(Math.abs(error)) : errnos[error];
  if (errno === undefined) throw new TypeError(`fail: ${String(error)} is no errno of this machine`);
  return errno;
}

/** The name of an errno (positive); `errno 117` where Node.js has none. */
export function errnoName(errno: number): ErrnoName {
  return names.get(errno) ?? (`errno ${errno}` as ErrnoName);
}

const names = new Map(Object.entries(errnos).map(([name, errno]) => [errno, name as ErrnoName]));

/** The last errno of Linux, EHWPOISON. Node.js has no names for some, such as EUCLEAN and EREMOTEIO. */
const LAST_ERRNO = 133;

function checkErrno(errno: number): number | undefined {
  return Number.isInteger(errno) && errno >= 1 && errno <= LAST_ERRNO ? errno : undefined;
}

/** An option of the wrong type or out of its range. */
export function invalidOption(option: string, problem: string): FuseError {
  return new FuseError('ERR_RINGFUSE_OPTION', `option ${option}: ${problem}`, { errno: -errnos.EINVAL });
}

/** The error of the native side, as one of this package. */
export function fromNative(error: unknown): FuseError {
  if (FuseError.is(error)) return error;
  const { code, errno, syscall, message } = error as Partial<FuseError>;
  return new FuseError(nativeCode(code), message ?? String(error), {
    cause: error,
    errno,
    syscall,
  });
}

/** Errors of the core have their codes; those of Node-API have the name of a status. */
function nativeCode(code: string | undefined): ErrorCode {
  if (code?.startsWith('ERR_RINGFUSE_')) return code as ErrorCode;
  if (code === 'Closing') return 'ERR_RINGFUSE_CLOSED';
  if (code === 'NoExternalBuffersAllowed') return 'ERR_RINGFUSE_EXTERNAL_MEMORY';
  return 'ERR_RINGFUSE_INTERNAL';
}
