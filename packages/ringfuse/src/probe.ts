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
