/** Set-user-ID and set-group-ID bits, and capabilities of files: who takes them away, and when. */

import { constants } from 'node:fs';
import { FuseError } from 'ringfuse';
import {
  asCaller,
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_FOWNER,
  check,
  type Identity,
} from 'ringfuse/system-calls';
import { type Caller, groupsOf, isMember, ROOT_UID } from '../callers.ts';
import type { Source } from './source.ts';

const { S_IFMT, S_IFREG, W_OK } = constants;
const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;

/** The kernel above has checked permissions. Without `CAP_FSETID` the kernel beneath takes bits away as from users. */
const CHECKED = (1 << CAP_CHOWN) | (1 << CAP_DAC_OVERRIDE) | (1 << CAP_FOWNER);

/** The extended attribute with the capabilities of a file. */
export const CAPABILITIES: Buffer = Buffer.from('security.capability');

const NOTHING = new Uint8Array();
const NOT_PERMITTED = new FuseError('EPERM');

/** What the requests of one thread do to privileges. */
export class Privileges {
  readonly #source: Source;
  /** Whose capabilities root took away last: the node. */
  #cleared = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  /**
   * Makes a change to the file `fd` that takes privileges away, for a caller without `CAP_FSETID`: the set-group-ID bit
   * stays with a member of the file's group, as the system beneath decides.
   */
  change<T>(caller: Caller, fd: number, change: () => T): T {
    const { mode } = this.#source.statx(fd);
    return mode & (S_ISUID | S_ISGID) ? this.#as(caller, CHECKED, change) : change();
  }

  /** Changes the owner of `fd`, as a caller who may do so. */
  changeOwner(caller: Caller, fd: number, uid: number, gid: number): void {
    const { calls } = this.#source;
    const change = (): number => check(calls.fchown(fd, uid, gid));
    if (caller.uid === ROOT_UID) change();
    else this.change(caller, fd, change);
  }

  /**
   * A request that sets nothing. With HANDLE_KILLPRIV_V2 it comes before the write of a user to a file with privileges,
   * and is a `chown(2)` to nobody else; nothing in it tells them apart. Both take privileges away.
   *
   * @throws FuseError EPERM if the file has privileges, and the caller is neither its owner nor may write it.
   */
  setNothing(caller: Caller, ino: number, fd: number): void {
    const { calls } = this.#source;
    const touch = (): number => check(calls.fchown(fd, -1, -1));
    if (caller.uid === ROOT_UID) {
      // Root's write takes capabilities away, but no bits.
      if (this.#cleared !== ino) touch();
      this.#cleared = 0;
    } else if (this.#mayWrite(caller, fd)) {
      this.change(caller, fd, touch);
    } else {
      const { mode } = this.#source.statx(fd);
      const isFile = (mode & S_IFMT) === S_IFREG;
      if (isFile && (mode & (S_ISUID | S_ISGID) || calls.getxattr(fd, CAPABILITIES, NOTHING) >= 0)) {
        throw NOT_PERMITTED;
      }
    }
  }

  /**
   * Capabilities go: the kernel asks in the name of one who writes, truncates or changes the owner, and of nobody else
   * but root.
   *
   * @throws FuseError EPERM if the caller is neither the file's owner nor may write it.
   */
  removeCapabilities(caller: Caller, ino: number, fd: number): void {
    if (caller.uid === ROOT_UID) this.#cleared = ino;
    else if (!this.#mayWrite(caller, fd)) throw NOT_PERMITTED;
  }

  /** Whether the file is the caller's, or the caller may write it. */
  #mayWrite(caller: Caller, fd: number): boolean {
    const { uid, gid, mode } = this.#source.statx(fd);
    if (caller.uid === uid) return true;
    if (this.#source.isRoot) return this.#as(caller, 0, () => this.#source.calls.faccess(fd, W_OK)) === 0;
    return (mode & (isMember(caller, gid) ? GROUP_WRITES : OTHERS_WRITE)) !== 0;
  }

  /** Acts as the caller, where this process may act for others. */
  #as<T>(caller: Caller, kept: number, act: () => T): T {
    return this.#source.isRoot ? asCaller(identityOf(caller), kept, act) : act();
  }
}

/** The caller with all groups. A request does not name them: they are those of the thread that waits for it. */
function identityOf({ uid, gid, pid }: Caller): Identity {
  return { uid, gid, groups: Uint32Array.from(groupsOf(pid)) };
}
