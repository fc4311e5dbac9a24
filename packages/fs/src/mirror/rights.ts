/**
 * Whose rights count. The kernel above checks owners and modes that it knows, which may be old ones by `timeout`. What
 * gives a lasting right is therefore done as the caller, so that the system beneath checks the present ones at once with
 * the change.
 */

import { asCaller, CAP_DAC_OVERRIDE, CAP_MKNOD, type Identity } from 'ringfuse/system-calls';
import { type Caller, groupsOf, ROOT_UID } from '../callers.ts';
import type { Source } from './source.ts';

const S_ISGID = 0o2000;

const NO_GROUPS = new Uint32Array();
const CHECKED = 1 << CAP_DAC_OVERRIDE;

/** Whether a user may make devices was checked above. */
const MAKES_NODES = 1 << CAP_MKNOD;

const ALL = 0xffff_ffff;

/** Who makes a name, for `openatAs` and its like. */
export interface Maker {
  /** -1: this process itself. */
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, 32 bits each. */
  readonly groups: Uint8Array;
  /** Capabilities of files that stay in effect. */
  readonly kept: number;
}

const SELF: Maker = { uid: -1, gid: -1, groups: new Uint8Array(), kept: ALL };

/** The rights of callers, on one thread. Descriptors of nodes must be at hand before: callers may not open handles. */
export class Rights {
  readonly #source: Source;
  readonly #gid: number | undefined = process.getegid?.();

  constructor(source: Source) {
    this.#source = source;
  }

  /** Makes a change that only the owner of a file may make; whether modes allow it was checked above. */
  asOwner<T>(caller: Caller, change: () => T): T {
    return this.#isOther(caller) ? asCaller({ ...caller, groups: NO_GROUPS }, CHECKED, change) : change();
  }

  /** Makes a change with all groups of the caller, and no rights but the caller's. */
  asCaller<T>(caller: Caller, change: () => T): T {
    return this.#isOther(caller) ? asCaller(identityOf(caller), 0, change) : change();
  }

  /**
   * Changes a name, with the rights that the caller has now; what is made belongs to the caller.
   *
   * @param fds All whose modes count, where that is known.
   */
  onNames<T>(caller: Caller, fds: readonly number[] | undefined, change: () => T): T {
    return this.#isSelf(caller) ? change() : asCaller(this.#identity(caller, fds), kept(caller), change);
  }

  /** As {@link Rights.onNames}, of a new file with this mode in the directory `fd`. */
  maker(caller: Caller, fd: number, mode: number): Maker {
    if (this.#isSelf(caller)) return SELF;
    const { uid, gid, groups } = this.#identity(caller, mode & S_ISGID ? undefined : [fd]);
    const bytes = new Uint8Array(groups.buffer, groups.byteOffset, groups.byteLength);
    return { uid, gid, groups: bytes, kept: kept(caller) };
  }

  /** The caller, with the groups if they can matter: they give no right to what is the caller's own. */
  #identity(caller: Caller, fds: readonly number[] | undefined): Identity {
    const { uid, gid } = caller;
    const isOwner = fds?.every((fd) => this.#source.statx(fd).uid === uid);
    return isOwner || uid === ROOT_UID ? { uid, gid, groups: NO_GROUPS } : identityOf(caller);
  }

  /** Whether new files can belong to the caller. */
  #isSelf({ uid, gid }: Caller): boolean {
    return !this.#source.isRoot || (uid === ROOT_UID && gid === this.#gid);
  }

  /** Whether the caller is one for whom this process may act, and must. */
  #isOther({ uid }: Caller): boolean {
    return uid !== ROOT_UID && this.#source.isRoot;
  }
}

/**
 * The capabilities that stay in effect for names. The groups of a caller outside of this process's PID namespace are
 * unknown: what the kernel above checked with them counts.
 */
function kept({ uid, pid }: Caller): number {
  if (uid === ROOT_UID) return ALL;
  return pid === 0 ? CHECKED | MAKES_NODES : MAKES_NODES;
}

/** The caller with all groups. A request does not name them: they are those of the thread that waits for it. */
export function identityOf({ uid, gid, pid }: Caller): Identity {
  return { uid, gid, groups: Uint32Array.from(groupsOf(pid)) };
}
