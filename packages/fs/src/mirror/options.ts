import type { Capability, MountOptions } from 'ringfuse';
import type { Root } from './source.ts';

/** What {@link mirror} may be told. */
export interface MirrorOptions {
  /**
   * Seconds for which the kernel may answer from what it knows: for so long may a change that somebody else makes in
   * the source stay unseen. Default 1. Where all changes come through the mirror a day (86 400) will do, and is faster.
   */
  readonly timeout?: number;
  /**
   * Let the kernel read and write open files itself, where it can: from Linux 6.9, for root. Default true. It leaves
   * the page cache to the source; it does not go with `directIo` and `writeback`.
   */
  readonly passthrough?: boolean;
  /** Keep contents out of the mirror's page cache: each read and write is a request. Default false. */
  readonly directIo?: boolean;
  /**
   * Let writes stay in the mirror's page cache and come later, gathered (`WRITEBACK_CACHE`). The kernel then keeps sizes
   * and times itself: nobody else may write to the source meanwhile. Holes are not told of (`SEEK_HOLE`). Default false.
   */
  readonly writeback?: boolean;
  /**
   * How many of the files that the kernel knows may have a descriptor; further ones have file handles, where the source
   * has them and the process is root. Default: half of what the process may have.
   */
  readonly descriptors?: number;
  /**
   * Mirror procfs, sysfs, cgroups, tracefs and other filesystems of the kernel, as the source and in it. Default false.
   *
   * Their files check the process that opens, reads or writes them, which here is the server. With a server that is
   * root, each user who may open such a file by its mode gets what root gets: the memory maps of all processes,
   * addresses of the kernel, and settings.
   */
  readonly kernelFilesystems?: boolean;
}

/** {@link MirrorOptions} with its defaults. They are plain data, which other threads get as they are. */
export type ResolvedOptions = Required<Omit<MirrorOptions, 'descriptors'>> &
  Pick<MirrorOptions, 'descriptors'>;

/** Fills the defaults in; throws a TypeError for what cannot be. */
export function resolveOptions(options: MirrorOptions): ResolvedOptions {
  const { timeout = 1, directIo = false, writeback = false } = options;
  const { passthrough = !directIo && !writeback, descriptors, kernelFilesystems = false } = options;
  if (typeof timeout !== 'number' || !(timeout >= 0)) {
    throw new TypeError(`mirror(): timeout is ${timeout}, but must be a number of seconds from 0`);
  }
  if (directIo && writeback) throw new TypeError('mirror(): directIo leaves no cache for writeback');
  if (passthrough && (directIo || writeback)) {
    throw new TypeError('mirror(): passthrough goes neither with directIo nor with writeback');
  }
  if (descriptors !== undefined && !(Number.isInteger(descriptors) && descriptors >= 0)) {
    throw new TypeError(`mirror(): descriptors is ${descriptors}, but must be a whole number from 0`);
  }
  if (typeof kernelFilesystems !== 'boolean') {
    throw new TypeError(`mirror(): kernelFilesystems is ${kernelFilesystems}, but must be true or false`);
  }
  return { timeout, passthrough, directIo, writeback, descriptors, kernelFilesystems };
}

/**
 * Capabilities that every mirror takes where they are offered. Not ATOMIC_O_TRUNC: with it Linux (6.18) truncates before it
 * looks whether the file is being executed, and the program dies of that.
 */
const optionalCapabilities: readonly Capability[] = [
  'CACHE_SYMLINKS',
  'DIRECT_IO_ALLOW_MMAP',
  'DONT_MASK',
  'DO_READDIRPLUS',
  'HANDLE_KILLPRIV_V2',
  'POSIX_ACL',
  'READDIRPLUS_AUTO',
];

/** How a filesystem is mounted: flags of `statfs(2)`. */
const ST_NOEXEC = 8;
const ST_NOSYMFOLLOW = 0x2000;

/** The longest source in /proc/mounts, and what it may not have in it. */
const LONGEST_FSNAME = 1024;
const CONTROL = /\p{Cc}/u;

/** The options of `mount` that suit a mirror. What the source's mount forbids stays forbidden. */
export function mountOptions(
  { timeout, passthrough, directIo, writeback }: ResolvedOptions,
  { path, flags }: Pick<Root, 'path' | 'flags'>,
): MountOptions {
  const hasName = Buffer.byteLength(path) <= LONGEST_FSNAME && !CONTROL.test(path);
  return {
    name: 'mirror',
    // Other mirrors learn from it what this one leads to: see `mount-table.ts`.
    ...(hasName ? { fsname: path } : {}),
    ...(flags & ST_NOEXEC ? { exec: false } : {}),
    ...(flags & ST_NOSYMFOLLOW ? { symfollow: false } : {}),
    defaultPermissions: true,
    entryTimeout: timeout,
    attrTimeout: timeout,
    directIo,
    capabilities: writeback ? ['WRITEBACK_CACHE'] : [],
    optionalCapabilities: passthrough ? [...optionalCapabilities, 'PASSTHROUGH'] : optionalCapabilities,
  };
}
