/** Set-user-ID and set-group-ID bits, and capabilities of files: who takes them away, and when. */

import { constants } from 'node:fs';
import type { Requests } from 'ringfuse';
import { asCaller, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, check } from 'ringfuse/system-calls';
import { type Caller, isMember, ROOT_UID } from '../callers.ts';
import { hasSetIdBits, PrivilegeRequests } from '../privileges.ts';
import { identityOf } from './rights.ts';
import type { Source } from './source.ts';

const { W_OK } = constants;
const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;
const PERMISSIONS = 0o7777;
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;

/** The kernel above has checked permissions. Without `CAP_FSETID` the kernel beneath takes bits away as from users. */
const CHECKED = (1 << CAP_CHOWN) | (1 << CAP_DAC_OVERRIDE) | (1 << CAP_FOWNER);

/** The extended attribute with the capabilities of a file. */
export const CAPABILITIES: Buffer = Buffer.from('security.capability');

/** What the requests of one thread do to privileges. */
export class Privileges {
  readonly #source: Source;
  readonly #requests: PrivilegeRequests;

  constructor(source: Source) {
    this.#source = source;
    this.#requests = new PrivilegeRequests(source.nodes);
  }

  /**
   * Makes a change to the file `fd` that takes privileges away, for a caller without `CAP_FSETID`: the set-group-ID bit
   * stays with a member of the file's group, as the system beneath decides.
   */
  change<T>(caller: Caller, fd: number, change: () => T): T {
    const { mode } = this.#source.statx(fd);
    return mode & (S_ISUID | S_ISGID) ? this.#as(caller, CHECKED, change) : change();
  }

  /** Makes a change to the contents of the open file `fd`, of which the request does not say what it takes away. */
  changeContents<T>(caller: Caller, fd: number, change: () => T): T {
    return caller.uid === ROOT_UID ? change() : this.change(caller, fd, change);
  }

  /**
   * A request that sets nothing: see {@link PrivilegeRequests.takesBits}. What the kernel writes to a backing file it
   * writes as this process, which takes no bits off: then they go now. Without such an open file the caller cannot be
   * about to write one.
   */
  setNothing(request: Requests['setattr'], fd: number): void {
    const { calls, nodes } = this.#source;
    const { ino, uid } = request;
    const takes = (): boolean => this.#source.statx(fd).uid === uid || nodes.isWritten(ino);
    if (!this.#requests.takesBits(request, takes)) return;
    const touch = (): number => check(calls.fchown(fd, -1, -1));
    if (uid === ROOT_UID) return void touch();
    this.change(request, fd, touch);
    // A FUSE filesystem beneath is sent the same request, and may leave the bits to a write that it never sees.
    const { mode, gid } = this.#source.statx(fd);
    if (!hasSetIdBits(mode)) return;
    const keepsGroup = (mode & S_IXGRP) === 0 && isMember(request, gid);
    const left = mode & ~(keepsGroup ? S_ISUID : S_ISUID | S_ISGID);
    if (left !== mode) check(calls.fchmod(fd, left & PERMISSIONS));
  }

  /**
   * Capabilities go.
   *
   * @throws FuseError EPERM: see {@link PrivilegeRequests.checkRemoval}.
   */
  removeCapabilities(request: Requests['removexattr'], fd: number): void {
    this.#requests.checkRemoval(request, () => this.#mayWrite(request, fd));
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
