/** Requests for locks: POSIX record locks (`fcntl(2)`) and `flock(2)`, told apart by `flock`. */

import { LK, LK_IN } from '../generated/layout.ts';
import { readLock, writeLock } from '../replies/lock.ts';
import { ARGUMENTS, NodeRequest, readU64 } from '../request.ts';
import type { Slot } from '../slot.ts';

/** A range of a file that somebody locks. */
export interface FileLock {
  /** First byte; a bigint beyond `Number.MAX_SAFE_INTEGER`. */
  readonly start: number | bigint;
  /**
   * Last byte, itself locked; a bigint beyond `Number.MAX_SAFE_INTEGER`. `Infinity`: to the end of the file, however
   * it grows.
   */
  readonly end: number | bigint;
  /** `F_RDLCK` (0), `F_WRLCK` (1) or `F_UNLCK` (2), as `fcntl(2)`. */
  readonly type: number;
  /** The process that holds the lock, or asks for it. */
  readonly pid: number;
}

abstract class LockRequest<Reply> extends NodeRequest<Reply> {
  readonly fh: number;
  /** Names the lock's owner: opaque. Locks of one owner do not conflict. */
  readonly owner: bigint;
  readonly lock: FileLock;
  /** Whether this is `flock(2)`, which locks whole files for an open file, not for a process. */
  readonly flock: boolean;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.fh = readU64(header, ARGUMENTS + LK_IN.fh);
    this.owner = header.getBigUint64(ARGUMENTS + LK_IN.owner, true);
    this.lock = readLock(header, ARGUMENTS + LK_IN.lk);
    this.flock = (header.getUint32(ARGUMENTS + LK_IN.lk_flags, true) & LK.FLOCK) !== 0;
  }
}

/** Which lock would keep `lock` from being set? `null` if none. Sent with `POSIX_LOCKS`. */
export class GetlkRequest extends LockRequest<FileLock | null> {
  declare readonly op: 'getlk';

  /** @internal */
  override encode(reply: FileLock | null): number {
    return writeLock(this.live(), reply);
  }
}

/**
 * Set or take away (`F_UNLCK`) a lock, at once or not: fail with `EAGAIN` if another is in the way. Sent with
 * `POSIX_LOCKS`, and with `FLOCK_LOCKS` for `flock(2)`.
 */
export class SetlkRequest extends LockRequest<void> {
  declare readonly op: 'setlk';
}

/**
 * As `setlk` of a lock (an unlock never waits, and always comes as `setlk`), but to wait until the lock can be had: reply when it is set. The caller may be interrupted
 * meanwhile: {@link SetlkwRequest.signal}; fail with `EINTR` then. However many wait, the request that unlocks is
 * served: see `docs/guide.md`.
 */
export class SetlkwRequest extends LockRequest<void> {
  declare readonly op: 'setlkw';
}
