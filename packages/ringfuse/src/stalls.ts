/** The watchdog's reports: requests wait, and the thread that serves them does not poll for them. */

import { channel } from 'node:diagnostics_channel';
import type { NativeMount, NativeStall } from './binding.ts';
import { FuseError } from './errors.ts';
import { OPCODE } from './generated/layout.ts';
import type { Operation } from './requests/index.ts';

/** What happens when a thread stalls. */
export type OnStall = 'report' | 'fail' | 'ignore';

/** A stall, as published on the `node:diagnostics_channel` named `ringfuse:stall`. */
export interface Stall {
  /** The mountpoint. */
  readonly path: string;
  /** How long requests had waited when it was reported: milliseconds, at least. */
  readonly milliseconds: number;
  /** How many requests waited; undefined where the kernel does not say. */
  readonly waiting: number | undefined;
  /**
   * What the thread was stuck in: a system call on a mount that it serves itself, a system call on
   * another FUSE filesystem, waiting for a child process that used the mount, a long computation, a
   * lock or a device in the kernel, or asleep for another reason.
   */
  readonly cause: 'own-mount' | 'other-mount' | 'child' | 'busy' | 'kernel' | 'asleep';
  /**
   * What happened to the requests: they still waited, were answered (ECANCELED to the thread itself,
   * ETIMEDOUT to others), or the mount was ended.
   */
  readonly outcome: 'waiting' | 'answered' | 'ended';
  /** What was written to standard error. */
  readonly message: string;
  /** Requests that the thread held, or that were answered in its place. */
  readonly requests: readonly { readonly op: Operation | undefined; readonly pid: number }[];
  /** Threads that waited for a FUSE filesystem. */
  readonly callers: readonly {
    readonly pid: number;
    readonly program: string;
    /** The system call, with its object where that is known. */
    readonly call: string | undefined;
  }[];
}

const stalls = channel('ringfuse:stall');

/** Publishes a stall of one of this process's mounts. */
export function publishStall(stall: Stall): void {
  stalls.publish(stall);
}

/** Converts the native side's report. */
export function stallOf({ requests, callers, waiting, ...rest }: NativeStall): Stall {
  return {
    ...rest,
    waiting: waiting ?? undefined,
    requests: requests.map(({ opcode, pid }) => ({ op: nameOf(opcode), pid })),
    callers: callers.map(({ call, ...caller }) => ({ ...caller, call: call ?? undefined })),
  };
}

/** The error of a mount that the watchdog ended. */
export function stallThatEnded(native: NativeMount): FuseError | undefined {
  const message = native.stalled();
  return message === null ? undefined : new FuseError('ERR_RINGFUSE_STALLED', message);
}

/** The abort reason of a request that was answered in the place of its thread. */
export function answeredInPlace(op: string): FuseError {
  return new FuseError('ETIMEDOUT', `${op}: the event loop stalled, so the caller was answered in its place`);
}

const names = new Map(Object.entries(OPCODE).map(([name, opcode]) => [opcode as number, name.toLowerCase()]));

function nameOf(opcode: number): Operation | undefined {
  return names.get(opcode) as Operation | undefined;
}
