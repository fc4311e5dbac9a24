/** Set-user-ID and set-group-ID bits, and capabilities of files: which requests take them away. */

import { constants } from 'node:fs';
import { FATTR, FuseError, type Requests } from 'ringfuse';
import { ROOT_UID } from './callers.ts';

const { S_IFDIR, S_IFMT } = constants;
const S_ISUID = 0o4000;
const S_ISGID = 0o2000;

/** Whether a program runs with rights of its file by this mode. The bits of a directory are not about rights. */
export function hasSetIdBits(mode: number): boolean {
  return (mode & S_IFMT) !== S_IFDIR && (mode & (S_ISUID | S_ISGID)) !== 0;
}

/**
 * Seconds for which the kernel may keep attributes with this mode; undefined: as long as the mount says. It does not hear
 * when a write takes set-ID bits away, and asks for such a mode each time.
 */
export function attrTimeoutOf(mode: number): number | undefined {
  return hasSetIdBits(mode) ? 0 : undefined;
}

/** What all threads that serve a mount remember together. */
export interface PrivilegeMemory {
  /** The node whose capabilities root removed last, 0 after the next request that sets nothing. */
  cleared: number;
}

/** Decides what requests do that Linux sends for several system calls, with nothing to tell them apart. */
export class PrivilegeRequests {
  readonly #memory: PrivilegeMemory;

  constructor(memory: PrivilegeMemory = { cleared: 0 }) {
    this.#memory = memory;
  }

  /**
   * Whether a request that sets nothing takes set-ID bits away. With HANDLE_KILLPRIV_V2 it comes before a write to a file
   * with privileges, and is a `chown(2)` to nobody else. The bits go for the owner. For others nothing changes, without an
   * error: they may be about to write, and the write takes the bits off. Root's write takes capabilities away, which the
   * kernel removes just before, but no bits.
   *
   * @param isOwner Whether the file belongs to a caller who is not root.
   */
  takesBits({ uid, ino, valid }: Requests['setattr'], isOwner: () => boolean): boolean {
    if (uid !== ROOT_UID) return isOwner();
    // With WRITEBACK_CACHE a chown has a time.
    const isWrite = this.#memory.cleared === ino && !(valid & FATTR.CTIME);
    this.#memory.cleared = 0;
    return !isWrite;
  }

  /**
   * Checks a request that removes capabilities. It also comes before a write and a `chown(2)`, in the name of their
   * caller. The write itself may come later, from the page cache, and in nobody's name.
   *
   * @param mayWrite Whether a caller who is not root owns the file or may write it.
   * @throws FuseError EPERM if the caller is neither root nor the owner, and may not write the file.
   */
  checkRemoval({ uid, ino }: Requests['removexattr'], mayWrite: () => boolean): void {
    if (uid === ROOT_UID) this.#memory.cleared = ino;
    else if (!mayWrite()) throw NOT_PERMITTED;
  }
}

const NOT_PERMITTED = new FuseError('EPERM');
