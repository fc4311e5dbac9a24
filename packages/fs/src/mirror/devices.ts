import { FuseError } from 'ringfuse';
import { check, type NodeTable, Statfs, type Statx, type SystemCalls } from 'ringfuse/system-calls';
import type { DeviceNumber } from './own-device.ts';

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

/** Inode numbers of other devices than the root's are told apart by what is above so many bits. */
const INO_BITS = 48n;
const INO_LIMIT = 2 ** 48;

/** A device that files of the source are on. */
export class Device {
  /** Whether it is one of {@link LOCAL}. */
  readonly local: boolean;
  readonly #number: DeviceNumber;
  readonly #place: number;

  constructor(number: DeviceNumber, place: number, local: boolean) {
    this.#number = number;
    this.#place = place;
    this.local = local;
  }

  /** Whether a file is on it. */
  has(statx: Statx): boolean {
    return statx.deviceMajor === this.#number.major && statx.deviceMinor === this.#number.minor;
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

/** The devices of a source, and the one that must not be among them. */
export class Devices {
  readonly #calls: SystemCalls;
  readonly #nodes: NodeTable;
  readonly #own: DeviceNumber | undefined;
  readonly #known: Device[] = [];
  readonly #statfs: Statfs = new Statfs();

  /** `own` is the mirror's own device. */
  constructor(calls: SystemCalls, nodes: NodeTable, own: DeviceNumber | undefined) {
    this.#calls = calls;
    this.#nodes = nodes;
    this.#own = own;
  }

  /** The device of a file, if this thread has met it. */
  known(statx: Statx): Device | undefined {
    for (const device of this.#known) if (device.has(statx)) return device;
    return undefined;
  }

  /**
   * The device of the file `fd`, whose attributes are `statx`.
   *
   * @throws FuseError EDEADLK if it is the mirror's own: asking it for more would be asking oneself.
   */
  of(fd: number, statx: Statx): Device {
    const known = this.known(statx);
    if (known !== undefined) return known;
    const number = { major: statx.deviceMajor, minor: statx.deviceMinor };
    if (number.major === this.#own?.major && number.minor === this.#own.minor) throw OWN_MOUNT;
    check(this.#calls.fstatfs(fd, this.#statfs.bytes));
    const device = new Device(number, this.#nodes.device(statx), LOCAL.has(this.#statfs.type));
    this.#known.push(device);
    return device;
  }
}

const OWN_MOUNT = new FuseError('EDEADLK', 'the mirror is mounted inside of its source');
