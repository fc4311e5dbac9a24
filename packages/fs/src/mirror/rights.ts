/**
 * Whose rights count. The kernel above checks owners and modes that it knows, which may be old ones by `timeout`. What
 * gives a lasting right is therefore done as the caller, so that the system beneath checks the present ones at once with
 * the change.
 */

import { asCaller, CAP_DAC_OVERRIDE, type Identity } from 'ringfuse/system-calls';
import { type Caller, groupsOf, ROOT_UID } from '../callers.ts';
import type { Source } from './source.ts';

const NO_GROUPS = new Uint32Array();
const PERMITTED = 1 << CAP_DAC_OVERRIDE;

/** The rights of callers, on one thread. Descriptors of nodes must be at hand before: callers may not open handles. */
export class Rights {
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
  }

  /** Makes a change that only the owner of a file may make; whether modes allow it was checked above. */
  asOwner<T>(caller: Caller, change: () => T): T {
    return this.#isOther(caller) ? asCaller({ ...caller, groups: NO_GROUPS }, PERMITTED, change) : change();
  }

  /** Makes a change with all groups of the caller, and no rights but the caller's. */
  asCaller<T>(caller: Caller, change: () => T): T {
    return this.#isOther(caller) ? asCaller(identityOf(caller), 0, change) : change();
  }

  /** Whether the caller is one for whom this process may act, and must. */
  #isOther({ uid }: Caller): boolean {
    return uid !== ROOT_UID && this.#source.isRoot;
  }
}

/** The caller with all groups. A request does not name them: they are those of the thread that waits for it. */
export function identityOf({ uid, gid, pid }: Caller): Identity {
  return { uid, gid, groups: Uint32Array.from(groupsOf(pid)) };
}
