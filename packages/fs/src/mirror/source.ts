import { constants, readlinkSync } from 'node:fs';
import { constants as system } from 'node:os';
import {
  type EntryReply,
  type ErrnoName,
  type ExtendedAttributes,
  FuseError,
  ROOT_ID,
  type StatxReply,
} from 'ringfuse';
import {
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_STATX_DONT_SYNC,
  AT_SYMLINK_NOFOLLOW,
  check,
  NodeTable,
  O_PATH,
  STATX_BASIC_STATS,
  STATX_BTIME,
  STATX_MNT_ID,
  STATX_MNT_ID_UNIQUE,
  Statfs,
  Statx,
  type SystemCalls,
  systemCalls,
} from 'ringfuse/system-calls';
import { attrTimeoutOf } from '../privileges.ts';
import { checkDevice, type Device, Devices } from './devices.ts';
import type { ResolvedOptions } from './options.ts';

const { O_DIRECTORY, O_NOFOLLOW, S_IFMT } = constants;
const { errno: errnos } = system;
const { ELOOP, ENOENT } = errnos;

const DOT = Buffer.from('.');
const DOT_DOT = Buffer.from('..');

/** The kernel looks the name up again then. */
const EXCHANGED = new FuseError('ESTALE');

/** Numbers of mounts are used again before Linux 6.8, which has the other ones. */
const MASK = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID | STATX_MNT_ID_UNIQUE;

/** How a node is found by a name, and held. */
const NODE_FLAGS = O_PATH | O_NOFOLLOW;

/** How a name is looked at: what {@link NODE_FLAGS} opens. */
const LOOK_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;

/** Descriptors that are wanted: `fs.nr_open` of most machines. */
const DESCRIPTORS = 1_048_576;

/** Seconds for which a change past the mirror may stay unseen at most. */
const LONGEST_UNSEEN = 1;

/** What threads must know to serve one source together: plain data. */
export interface SourceShare {
  readonly nodes: number;
  readonly options: ResolvedOptions;
}

/** The directory that is mirrored, open. */
export interface Root {
  readonly nodes: NodeTable;
  /** Its path, absolute and without symbolic links. */
  readonly path: string;
  /** How its filesystem is mounted: `ST_*`. */
  readonly flags: number;
}

/** The directory that is mirrored, as one thread sees it: nodes and what the system says of them. */
export class Source {
  readonly calls: SystemCalls = systemCalls();
  readonly nodes: NodeTable;
  readonly options: ResolvedOptions;
  readonly #statx: Statx = new Statx();
  readonly #devices: Devices;
  readonly #changesPast: boolean;
  readonly #uid: number | undefined = process.geteuid?.();

  constructor({ nodes, options }: SourceShare) {
    this.nodes = NodeTable.attach(nodes);
    this.options = options;
    this.#devices = new Devices(this.calls, this.nodes, options);
    this.#changesPast = options.passthrough && options.timeout > LONGEST_UNSEEN;
  }

  /** Opens a directory, before anything is mounted on it or above it. */
  static open(path: string, options: ResolvedOptions): Root {
    const calls = systemCalls();
    const limit = check(calls.raiseDescriptorLimit(DESCRIPTORS));
    const fd = calls.openat(AT_FDCWD, Buffer.from(path), O_PATH | O_DIRECTORY, 0);
    if (fd < 0) throw cannotOpen(path, fd);
    try {
      const statx = new Statx();
      const statfs = new Statfs();
      check(calls.fstatx(fd, AT_STATX_DONT_SYNC, MASK, statx.bytes));
      checkRoot(path, () => checkDevice(calls, fd, statx, options, statfs));
      check(calls.fstatx(fd, 0, MASK, statx.bytes));
      check(calls.fstatfs(fd, statfs.bytes));
      const { descriptors = Math.floor(limit / 2) } = options;
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return { nodes: NodeTable.create(fd, statx, descriptors), path: target, flags: statfs.flags };
    } catch (error) {
      calls.close(fd);
      throw error;
    }
  }

  /** The descriptor (`O_PATH`) of a node, to be used at once. */
  descriptor(ino: number): number {
    return this.nodes.descriptor(ino);
  }

  /** The attributes of the file that `fd` is. */
  attributes(fd: number): ExtendedAttributes {
    const device = this.#look(fd);
    return this.#statx.attributes(device.shown(this.#statx.ino));
  }

  /** The attributes of the node `ino`, which `fd` is, for the kernel. */
  reply(ino: number, fd: number): StatxReply {
    const attr = this.attributes(fd);
    return { attr, attrTimeout: this.attrTimeout(ino, attr.mode) };
  }

  /**
   * How long attributes of a node hold, seconds; undefined for as long as the mount says. Stores into a mapping change
   * the times of the backing file past the mirror.
   */
  attrTimeout(ino: number, mode: number): number | undefined {
    const timeout = attrTimeoutOf(mode);
    if (timeout !== undefined || !this.#changesPast) return timeout;
    return this.nodes.isMappable(ino) ? LONGEST_UNSEEN : undefined;
  }

  /**
   * Notes that a program may map the node's backing file for writing.
   *
   * @returns Whether attributes that the kernel has hold for too long from now on.
   */
  setMappable(ino: number): boolean {
    return this.#changesPast && this.nodes.setMappable(ino);
  }

  /** What `fd` is, as this system knows it, until the next look at any file. */
  statx(fd: number): Statx {
    check(this.calls.fstatx(fd, AT_STATX_DONT_SYNC, MASK, this.#statx.bytes));
    return this.#statx;
  }

  /** Whether this process is root, and may act for others. */
  get isRoot(): boolean {
    return this.#uid === ROOT_UID;
  }

  /** The device of the file that `fd` is. */
  device(fd: number): Device {
    return this.#look(fd);
  }

  /** Whether the contents of the file that `fd` is end where its size says. */
  hasEnd(fd: number): boolean {
    return this.#look(fd).endsAt(this.#statx.size);
  }

  /**
   * Takes over a descriptor (`O_PATH`) and counts one lookup of its file: the entry for the kernel.
   *
   * @param type The `S_IF*` bits that the file must have; undefined: any.
   * @throws FuseError ESTALE if it has others.
   */
  enter(fd: number, type?: number): EntryReply {
    let attr: ExtendedAttributes;
    try {
      attr = this.attributes(fd);
      if (type !== undefined && (attr.mode & S_IFMT) !== type) throw EXCHANGED;
    } catch (error) {
      this.calls.close(fd);
      throw error;
    }
    return this.#entry(this.nodes.enter(fd, this.#statx), attr);
  }

  /** As {@link Source.enter}, of a name in a directory: an errno, negative, where there is none. */
  find(parent: number, name: Uint8Array): EntryReply | number {
    const again = this.#findAgain(parent, name);
    if (again !== undefined) return this.#below(parent, name, again);
    const fd = this.calls.openat(this.descriptor(parent), name, NODE_FLAGS, 0);
    return fd < 0 ? fd : this.#below(parent, name, this.enter(fd));
  }

  /** As {@link Source.enter}, of a node that the kernel named, whose descriptor is `fd`. */
  again(ino: number, fd: number): EntryReply {
    const attr = this.attributes(fd);
    this.nodes.count(ino);
    return this.#entry(ino, attr);
  }

  /** Keeps the file that a name is about to be taken from for those who have it open. */
  keep(parent: number, name: Uint8Array): void {
    const statx = this.#statx;
    const looked = this.calls.statx(this.descriptor(parent), name, LOOK_FLAGS, MASK, statx.bytes);
    if (looked >= 0 && (statx.links === 1 || statx.isDirectory)) this.nodes.keep(statx);
  }

  /**
   * As {@link Source.enter}, of a name that was made just now. It may be another file's by now: what is done to the
   * entry's file is done to whatever has the name, which is a lookup and no more. The kernel takes no other type.
   */
  found(parent: number, name: Uint8Array, type: number): EntryReply {
    return this.enter(check(this.calls.openat(this.descriptor(parent), name, NODE_FLAGS, 0)), type);
  }

  /**
   * As {@link Source.find}, of a file that the kernel knows already, which need not be opened then; undefined of others.
   * Of a device that is not local, only the open file has attributes that are true.
   */
  #findAgain(parent: number, name: Uint8Array): EntryReply | number | undefined {
    const statx = this.#statx;
    const looked = this.calls.statx(this.descriptor(parent), name, LOOK_FLAGS, MASK, statx.bytes);
    if (looked === -ENOENT) return looked;
    const device = looked < 0 ? undefined : this.#devices.known(statx);
    if (!device?.local) return undefined;
    const ino = this.nodes.enterAgain(statx);
    return ino === 0 ? undefined : this.#entry(ino, statx.attributes(device.shown(statx.ino)));
  }

  /**
   * An entry of a directory. Where the system says by inode number that it is the directory itself, or the root, the
   * kernel would take no such entry: ELOOP. An NFS server looks up `.` and `..`.
   */
  #below(parent: number, name: Uint8Array, entry: EntryReply | number): EntryReply | number {
    if (typeof entry === 'number' || (entry.ino !== parent && entry.ino !== ROOT_ID)) return entry;
    if (DOT.equals(name) || DOT_DOT.equals(name)) return entry;
    // It is a directory, which has no backing file.
    this.nodes.forget(entry.ino, 1);
    return -ELOOP;
  }

  #entry(ino: number, attr: ExtendedAttributes): EntryReply {
    return { ino, attr, attrTimeout: this.attrTimeout(ino, attr.mode) };
  }

  #look(fd: number): Device {
    const statx = this.#statx;
    check(this.calls.fstatx(fd, AT_STATX_DONT_SYNC, MASK, statx.bytes));
    const device = this.#devices.of(fd, statx);
    if (!device.local) check(this.calls.fstatx(fd, 0, MASK, statx.bytes));
    return device;
  }
}

/** Says which directory cannot be mirrored. */
function checkRoot(path: string, inspect: () => void): void {
  try {
    inspect();
  } catch (error) {
    if (!FuseError.is(error)) throw error;
    throw new FuseError(error.code, `mirror: ${path} cannot be a source: ${error.message}`);
  }
}

function cannotOpen(path: string, result: number): FuseError {
  const found = Object.entries(errnos).find(([, errno]) => errno === -result)?.[0];
  const name = (found ?? 'EIO') as ErrnoName;
  return new FuseError(name, `mirror: ${path} cannot be opened as a directory: ${name}`, {
    syscall: 'openat',
  });
}

const ROOT_UID = 0;
