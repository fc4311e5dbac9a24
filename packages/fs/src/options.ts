import os from 'node:os';
import v8 from 'node:v8';
import type { MountOptions } from 'ringfuse';
import { INODE_COST } from './space.ts';

/** What {@link memory} may be told. */
export interface MemoryOptions {
  /**
   * Bytes that contents and extended attributes may take; what goes beyond it is ENOSPC. Default: half of the
   * memory that the process may use.
   */
  readonly size?: number;
  /**
   * How many files there may be: names, as each hard link counts, and files without a name that are still
   * open. Long symbolic links, extended attributes and locks take from them as well, see README.md. More is
   * ENOSPC. Default: as many as half of the JavaScript heap has room for.
   */
  readonly inodes?: number;
  /** Owner of the root and of `files`. Default: the user of the process. */
  readonly uid?: number;
  /** Group of the root and of `files`. Default: the group of the process. */
  readonly gid?: number;
  /**
   * Permissions of the root. Default `0o755`: others look, the owner writes. `0o1777` makes it a `/tmp`.
   */
  readonly mode?: number;
  /**
   * What is there from the start: contents by path. Directories are made on the way, a path that ends in `/`
   * makes one, files get `0o644`, directories `0o755`.
   */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /**
   * Keep the locks of `fcntl(2)` and `flock(2)` here, for a mount with the capabilities `POSIX_LOCKS` and
   * `FLOCK_LOCKS`. Default false: the kernel keeps them, which does the same and spares a request at each lock and
   * at each `close(2)`.
   */
  readonly locks?: boolean;
}

/**
 * Options of `mount` that suit {@link memory}. The kernel checks permissions. As all changes come through it,
 * what it caches stays true: names, also those that are not there, and attributes for a day, pages, listings and
 * symbolic links until it drops them itself (`EXPLICIT_INVAL_DATA`, `CACHE_SYMLINKS`); what is read from there leaves
 * the time of access as it was. Files are opened and closed without a request, therefore `ATOMIC_O_TRUNC` is not
 * among the capabilities. A listing brings attributes along where they are wanted
 * (`DO_READDIRPLUS`, `READDIRPLUS_AUTO`), a write needs no look at the file's capabilities before
 * (`HANDLE_KILLPRIV_V2`). Access control lists are checked (`POSIX_ACL`), and default ones take the umask's place
 * (`DONT_MASK`).
 *
 * None of the capabilities is needed: each is taken where the kernel offers it.
 */
export const memoryMountOptions: MountOptions = {
  defaultPermissions: true,
  entryTimeout: 86_400,
  attrTimeout: 86_400,
  optionalCapabilities: [
    'CACHE_SYMLINKS',
    'DONT_MASK',
    'DO_READDIRPLUS',
    'EXPLICIT_INVAL_DATA',
    'HANDLE_KILLPRIV_V2',
    'POSIX_ACL',
    'READDIRPLUS_AUTO',
  ],
};

/** The figures of {@link MemoryOptions} with their defaults. */
export type ResolvedOptions = Required<Omit<MemoryOptions, 'files' | 'locks'>>;

function defaultSize(): number {
  const memory = os.totalmem();
  const constrained = process.constrainedMemory() || memory;
  return Math.floor(Math.min(memory, constrained) / 2);
}

/** The largest value of each option; all are whole numbers from 0 on. */
const LARGEST: ResolvedOptions = {
  size: Number.MAX_SAFE_INTEGER,
  inodes: Number.MAX_SAFE_INTEGER,
  uid: 0xffff_fffe,
  gid: 0xffff_fffe,
  mode: 0o7777,
};

/** Fills the defaults in; throws a RangeError for what cannot be. */
export function resolveOptions(options: MemoryOptions): ResolvedOptions {
  const resolved: ResolvedOptions = {
    size: options.size ?? defaultSize(),
    inodes: options.inodes ?? Math.floor(v8.getHeapStatistics().heap_size_limit / 2 / INODE_COST),
    uid: options.uid ?? process.getuid?.() ?? 0,
    gid: options.gid ?? process.getgid?.() ?? 0,
    mode: options.mode ?? 0o755,
  };
  for (const name of Object.keys(LARGEST) as (keyof ResolvedOptions)[]) {
    const value = resolved[name];
    if (Number.isSafeInteger(value) && value >= 0 && value <= LARGEST[name]) continue;
    throw new RangeError(
      `memory(): ${name} is ${value}, but must be a whole number from 0 to ${LARGEST[name]}`,
    );
  }
  return resolved;
}
