import { constants } from 'node:os';
import { errnoName, FuseError } from '../errors.ts';

const { EMFILE, ENFILE } = constants.errno;

/** One error for each errno: making one takes microseconds, and its stack tells a caller of the mount nothing. */
const errors = new Map<number, FuseError>();

/**
 * Throws the error of a system call's result below 0, for whoever made the request. EMFILE, this process's own limit,
 * is ENFILE to everybody else.
 *
 * @returns The result.
 */
export function check(result: number): number {
  if (result >= 0) return result;
  throw errorOf(-result);
}

function errorOf(errno: number): FuseError {
  let error = errors.get(errno);
  if (error === undefined) {
    error = new FuseError(errnoName(errno === EMFILE ? ENFILE : errno), undefined, {
      errno: -(errno === EMFILE ? ENFILE : errno),
    });
    errors.set(errno, error);
  }
  return error;
}
