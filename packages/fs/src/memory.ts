import { type Memory, MemoryFilesystem } from './filesystem.ts';
import { LockingFilesystem } from './locking.ts';
import type { MemoryOptions } from './options.ts';

/**
 * A POSIX filesystem in memory, gone with the process: hard and symbolic links, devices, FIFOs and sockets,
 * nameless files (`O_TMPFILE`), sparse files of up to 2^53 - 1 bytes, extended attributes and access control lists,
 * times to the nanosecond, `renameat2(2)` with all of its flags, `fallocate(2)` with holes, `SEEK_DATA` and
 * `SEEK_HOLE`, `copy_file_range(2)`.
 *
 * Permissions are the kernel's to check: mount it with `defaultPermissions`, or with all of
 * {@link memoryMountOptions}. It has no `fsync` and `access` on purpose, and `flush` only with `locks`: the kernel
 * takes the first ENOSYS as "nothing to do" and never asks again.
 *
 * It serves one mount at a time. A RangeError or TypeError tells of an option that cannot be.
 */
export function memory(options: MemoryOptions = {}): Memory {
  return options.locks ? new LockingFilesystem(options) : new MemoryFilesystem(options);
}
