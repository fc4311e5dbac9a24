import { FuseError } from 'ringfuse';
import {
  check,
  type NodeTable,
  ownConnections,
  Statfs,
  type Statx,
  type SystemCalls,
} from 'ringfuse/system-calls';
import { KERNEL_FILESYSTEMS } from './kernel-filesystems.ts';
import { devicesBehind, isFuse, mountTable } from './mount-table.ts';
import type { ResolvedOptions } from './options.ts';

/**
 * Filesystems of this machine alone, by the magic numbers of `statfs(2)`: what the kernel knows of attributes is always
 * true, and `close(2)` has no errors to tell, as they have no `flush` operation.
 */
const LOCAL: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
  0x2fc12fc1, // ZFS
  0x01021994, // tmpfs
]);

/** overlayfs: its sizes are those of the files beneath. */
const OVERLAYFS = 0x794c7630;

/** Inode numbers of other devices than the root's are told apart by what is above so many bits. */
const INO_BITS = 48n;
const INO_LIMIT = 2 ** 48;

/**
 * What the sizes of a device's files say. Files of the kernel's filesystems have contents when they are read, and other
 * contents the next time: their sizes are 0 or a page. Servers of FUSE and of network filesystems say 0 of such files.
 */
type Sizes = 'true' | 'true unless 0' | 'nothing';

/** A device that files of the source are on, as one mount shows it. */
export class Device {
  /** Whether it is one of {@link LOCAL}. */
  readonly local: boolean;
  readonly #sizes: Sizes;
  readonly #major: number;
  readonly #minor: number;
  readonly #mount: number | bigint;
  readonly #place: number;

  /** `statx` is of a file on it. */
  constructor(statx: Statx, place: number, local: boolean, sizes: Sizes) {
    this.#major = statx.deviceMajor;
    this.#minor = statx.deviceMinor;
    this.#mount = statx.mountId;
    this.#place = place;
    this.local = local;
    this.#sizes = sizes;
  }

  /** Whether the contents of a file whose size is said to be `size` end there. */
  endsAt(size: number | bigint): boolean {
    return this.#sizes === 'true' || (this.#sizes === 'true unless 0' && size !== 0);
  }

  /** Whether a file is on it. Device numbers are used again when what is mounted changes; numbers of mounts are not. */
  has(statx: Statx): boolean {
    return (
      statx.deviceMinor === this.#minor && statx.deviceMajor === this.#major && statx.mountId === this.#mount
    );
  }

  /**
   * The inode number that programs see, the same for all names of a file and different for all files: on the root's
   * device the file's own, elsewhere with the device in its upper bits.
   */
  shown(ino: number | bigint): number | bigint {
    if (this.#place === 0) return ino;
    const shown = BigInt.asUintN(64, BigInt(ino) ^ (BigInt(this.#place) << INO_BITS));
    return shown < INO_LIMIT ? Number(shown) : shown;
  }
}

/** What the owner of a source allows. */
export type Allowed = Pick<ResolvedOptions, 'kernelFilesystems'>;

/** The devices of a source: those that a mirror may use. */
export class Devices {
  readonly #calls: SystemCalls;
  readonly #nodes: NodeTable;
  readonly #allowed: Allowed;
  readonly #known: Device[] = [];
  readonly #statfs: Statfs = new Statfs();

  constructor(calls: SystemCalls, nodes: NodeTable, allowed: Allowed) {
    this.#calls = calls;
    this.#nodes = nodes;
    this.#allowed = allowed;
  }

  /** The device of a file, if this thread has met it. */
  known(statx: Statx): Device | undefined {
    for (const device of this.#known) if (device.has(statx)) return device;
    return undefined;
  }

  /**
   * The device of the file `fd`, whose attributes are `statx`.
   *
   * @throws FuseError as {@link checkDevice}.
   */
  of(fd: number, statx: Statx): Device {
    const known = this.known(statx);
    if (known !== undefined) return known;
    const isFuse = checkDevice(this.#calls, fd, statx, this.#allowed, this.#statfs);
    const type = isFuse ? 0 : this.#statfs.type;
    const local = LOCAL.has(type);
    const sizes: Sizes =
      local || type === OVERLAYFS ? 'true' : KERNEL_FILESYSTEMS.has(type) ? 'nothing' : 'true unless 0';
    const device = new Device(statx, this.#nodes.device(statx), local, sizes);
    this.#known.push(device);
    return device;
  }
}

/**
 * Finds out whether a mirror may use the device of the file `fd`, whose attributes are `statx`, and whether it is
 * FUSE. If not, `statfs` is filled. A FUSE filesystem is not asked for anything: it might be this process that answers.
 *
 * @throws FuseError EDEADLK if the device's requests come to this process, or may, in the end: asking for more would be
 *   asking oneself. EACCES for a filesystem of the kernel that is not allowed.
 */
export function checkDevice(
  calls: SystemCalls,
  fd: number,
  statx: Statx,
  { kernelFilesystems }: Allowed,
  statfs: Statfs,
): boolean {
  const table = mountTable();
  const mount = table.findLast(({ major, minor }) => {
    return major === statx.deviceMajor && minor === statx.deviceMinor;
  });
  if (mount !== undefined) {
    const own = new Set(ownConnections());
    for (const { major, minor } of devicesBehind(mount, table)) {
      if (major === ANONYMOUS && own.has(minor)) throw OWN_MOUNT;
    }
    if (isFuse(mount)) return true;
  }
  check(calls.fstatfs(fd, statfs.bytes));
  const name = KERNEL_FILESYSTEMS.get(statfs.type);
  if (name !== undefined && !kernelFilesystems) {
    throw new FuseError(
      'EACCES',
      `its filesystem is ${name}, whose files give the server's rights to every user who may open them in the mirror; ` +
        'the option kernelFilesystems allows it',
    );
  }
  return false;
}

/** The major number of devices that no hardware stands for, as those of FUSE. */
const ANONYMOUS = 0;

const OWN_MOUNT = new FuseError(
  'EDEADLK',
  'this process serves what is mounted there, or something that it leads to',
);
