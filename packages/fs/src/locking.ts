import { constants } from 'node:fs';
import { FuseError, type Reply, type Requests } from 'ringfuse';
import { MemoryFilesystem } from './filesystem.ts';
import { F_UNLCK, type Lock, LockTable } from './locks.ts';
import type { Space } from './space.ts';

const { O_TRUNC } = constants;

type LockRequest = Requests['getlk'] | Requests['setlk'] | Requests['setlkw'];

function lockOf({ lock, owner, fh }: LockRequest): Lock {
  return { ...lock, owner, fh };
}

/** Tables by node; nodes of which nothing is locked have none. */
class Tables {
  readonly #tables: Map<number, LockTable> = new Map();
  readonly #space: Space;

  constructor(space: Space) {
    this.#space = space;
  }

  /** The table of a node. */
  get(ino: number): LockTable {
    let table = this.#tables.get(ino);
    if (table === undefined) {
      table = new LockTable(this.#space);
      this.#tables.set(ino, table);
    }
    return table;
  }

  /** Takes away all locks of a node that `matches`. */
  release(ino: number, matches: (lock: Lock) => boolean): void {
    this.#tables.get(ino)?.release(matches);
    this.sweep(ino);
  }

  /** Lets go of a table that nobody needs. */
  sweep(ino: number): void {
    if (this.#tables.get(ino)?.isIdle) this.#tables.delete(ino);
  }

  /**
   * Whether `wanted` waits, over others who wait, for its own owner. A process that waits in several threads
   * passes for one that waits for all of them, as Linux sees it.
   */
  isDeadlock(table: LockTable, wanted: Lock): boolean {
    const owners = new Set(table.blockers(wanted).map(({ owner }) => owner));
    // A set that grows is walked to its end.
    for (const owner of owners) {
      if (owner === wanted.owner) return true;
      for (const other of this.#tables.values()) {
        for (const waited of other.waitsOf(owner)) {
          for (const blocker of other.blockers(waited)) owners.add(blocker.owner);
        }
      }
    }
    return false;
  }
}

/**
 * A filesystem in memory that keeps the locks of its files itself, for a mount with `POSIX_LOCKS` and
 * `FLOCK_LOCKS`. Locks of both kinds do not see each other. Who waits for a lock gets it in the order of asking.
 *
 * Record locks of a process end when it closes any descriptor of the file (`flush`), those of an open file
 * description with its last descriptor (`release`): the kernel names no owner there, but only they are left
 * then of what was locked by that `fh`.
 */
export class LockingFilesystem extends MemoryFilesystem {
  readonly #records: Tables = new Tables(this.space);
  readonly #flocks: Tables = new Tables(this.space);
  #lastFh = 0;

  override open(request: Requests['open']): Reply<'open'> {
    if (request.flags & O_TRUNC) super.open(request);
    return { fh: this.#nextFh() };
  }

  override create(request: Requests['create']): Reply<'create'> {
    const { ino, attr } = super.create(request);
    return { ino, attr, fh: this.#nextFh() };
  }

  override tmpfile(request: Requests['tmpfile']): Reply<'tmpfile'> {
    const { ino, attr } = super.tmpfile(request);
    return { ino, attr, fh: this.#nextFh() };
  }

  flush({ ino, lockOwner }: Requests['flush']): void {
    this.#records.release(ino, ({ owner }) => owner === lockOwner);
  }

  release({ ino, fh, lockOwner }: Requests['release']): void {
    this.#records.release(ino, (lock) => lock.fh === fh);
    this.#flocks.release(ino, ({ owner }) => owner === lockOwner);
  }

  getlk(request: Requests['getlk']): Reply<'getlk'> {
    const found = this.#records.get(request.ino).find(lockOf(request));
    this.#records.sweep(request.ino);
    if (found === undefined) return null;
    const { start, end, type, pid } = found;
    return { start, end, type, pid };
  }

  setlk(request: Requests['setlk']): void {
    const { ino } = request;
    try {
      if (!this.#tableOf(request).set(lockOf(request))) throw new FuseError('EAGAIN');
    } finally {
      this.#tablesOf(request).sweep(ino);
    }
  }

  async setlkw(request: Requests['setlkw']): Promise<void> {
    const { ino, flock } = request;
    const wanted = lockOf(request);
    const table = this.#tableOf(request);
    if (!flock && this.#records.isDeadlock(table, wanted)) throw new FuseError('EDEADLK');
    try {
      await table.wait(wanted, request.signal);
    } finally {
      this.#tablesOf(request).sweep(ino);
    }
  }

  #tablesOf({ flock }: LockRequest): Tables {
    return flock ? this.#flocks : this.#records;
  }

  /** The table that a lock goes to. A `flock` of another type is taken away first, as `flock(2)` has it. */
  #tableOf(request: LockRequest): LockTable {
    const { ino, flock, owner, lock } = request;
    const table = this.#tablesOf(request).get(ino);
    if (flock && lock.type !== F_UNLCK) {
      table.release((held) => held.owner === owner && held.type !== lock.type);
    }
    return table;
  }

  #nextFh(): number {
    this.#lastFh += 1;
    return this.#lastFh;
  }
}
