/** System calls that Node.js has no function for, made by a small Python program that reports as JSON. */

import type { ExecutionContext } from 'ava';
import { type PythonProgram, startPython } from './python.ts';

/**
 * `call` is a system call by number, `attempt` gives a function's result or its errno's name, `say` reports.
 */
const PRELUDE = `
import ctypes, errno, fcntl, json, os, select, signal, stat, struct, sys, threading, time
errno.errorcode[errno.EOPNOTSUPP] = 'EOPNOTSUPP'
errno.errorcode[errno.EDEADLK] = 'EDEADLK'
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a test that is given up takes its program with it
def call(number, *args):
    made = libc.syscall(ctypes.c_long(number), *[
        a if isinstance(a, (bytes, type(None))) or hasattr(a, '_type_') or hasattr(a, 'contents')
        else ctypes.c_void_p(a & (1 << 64) - 1) if isinstance(a, int) else a for a in args])
    if made < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return made
def attempt(function, *args, **named):
    try:
        return function(*args, **named)
    except OSError as error:
        return errno.errorcode[error.errno]
def say(value=None):
    print(json.dumps(value, default=lambda b: b.decode('latin-1')), flush=True)
path = sys.argv[1]
def at(name):
    return os.path.join(path, name)
`;

/** Starts a program; `path` in it is its first argument, `at(name)` a path below. */
export function startSystemCalls(code: string, path: string, ...args: string[]): PythonProgram {
  return startPython(PRELUDE + code, path, ...args);
}

/** Runs a program to its end; resolves to what it said. */
export async function systemCalls(
  t: ExecutionContext,
  code: string,
  path: string,
  ...args: string[]
): Promise<unknown> {
  const { stdout, stderr, code: status, signal } = await startSystemCalls(code, path, ...args).ended;
  t.deepEqual([status, signal, stderr], [0, null, '']);
  return stdout === '' ? undefined : JSON.parse(stdout);
}
