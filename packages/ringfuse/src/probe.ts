import { binding } from './native.ts';

/**
 * Tries what the ring transport needs of io_uring on this machine, apart from FUSE.
 *
 * @returns Undefined if it works, otherwise why it does not.
 * @throws FuseError `ERR_RINGFUSE_NATIVE` if the native addon does not load.
 */
export function probeIoUring(): string | undefined {
  return binding().probeIoUring() ?? undefined;
}

/** Whether `fusermount3`, which mounts for ordinary users, can do that for this process. */
export type Fusermount =
  /** Its version, and where it is. */
  | { readonly found: string }
  /** Why it cannot, and what mends that. */
  | { readonly found: undefined; readonly problem: string; readonly remedy: string };

/**
 * Looks for `fusermount3`.
 *
 * @throws FuseError `ERR_RINGFUSE_NATIVE` if the native addon does not load.
 */
export function probeFusermount(): Fusermount {
  const { found, problem = '', remedy = '' } = binding().probeFusermount();
  return found === undefined ? { found, problem, remedy } : { found };
}
