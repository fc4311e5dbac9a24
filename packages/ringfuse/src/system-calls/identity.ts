import { systemCalls } from './calls.ts';
import { check } from './result.ts';

/**
 * Runs `make`, and what it makes in the filesystem belongs to the user, as if they had made it: `setfsuid(2)` and
 * `setfsgid(2)` of this thread. Permissions are not checked again (`CAP_DAC_OVERRIDE`, `CAP_FOWNER`,
 * `CAP_FSETID` and `CAP_MKNOD` stay in effect), as the kernel did so when it had the request, with all of the caller's groups.
 *
 * `make` must not be asynchronous.
 *
 * @throws FuseError EPERM if the process may not act for others.
 */
export function asUser<T>(uid: number, gid: number, make: () => T): T {
  const calls = systemCalls();
  check(calls.beginIdentity(uid, gid));
  try {
    return make();
  } finally {
    calls.endIdentity();
  }
}

/** A user with all groups, for {@link asCaller}. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: Uint32Array;
}

/**
 * Runs `act` with the rights of a user and no others: `setfsuid(2)`, `setfsgid(2)` and `setgroups(2)` of this thread.
 *
 * `act` must not be asynchronous.
 *
 * @param kept Of the first 32 capabilities, those that concern files and stay in effect: bits by `CAP_*`.
 * @throws FuseError EPERM if the process may not act for others.
 */
export function asCaller<T>({ uid, gid, groups }: Identity, kept: number, act: () => T): T {
  const calls = systemCalls();
  check(
    calls.beginCaller(uid, gid, new Uint8Array(groups.buffer, groups.byteOffset, groups.byteLength), kept),
  );
  try {
    return act();
  } finally {
    calls.endIdentity();
  }
}

/**
 * Runs `act` with one of the first 32 capabilities of this thread out of effect. Without `CAP_FSETID`, writing and
 * truncating take set-user-ID and set-group-ID bits away, as they do for users.
 *
 * `act` must not be asynchronous.
 */
export function withoutCapability<T>(capability: number, act: () => T): T {
  const calls = systemCalls();
  const wasEffective = check(calls.setCapability(capability, false)) === 1;
  try {
    return act();
  } finally {
    if (wasEffective) calls.setCapability(capability, true);
  }
}
