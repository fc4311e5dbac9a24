/** What the watchdog says of this mount's threads: requests wait, and the thread that serves them does not turn. */

import { channel } from 'node:diagnostics_channel';
import type { NativeMount, NativeStall } from './binding.ts';
import { FuseError } from './errors.ts';
import { OPCODE } from './generated/layout.ts';
import type { Operation } from './requests/index.ts';

/** What is done when a thread stalls. */
export type OnStall = 'report' | 'fail' | 'ignore';

/** A stall, as `node:diagnostics_channel` tells of it on the channel `ringfuse:stall`. */
export interface Stall {
  /** The mountpoint. */
  readonly path: string;
  /** Milliseconds for which requests had waited, at least, when it was reported. */
  readonly milliseconds: number;
  /** Requests that waited; undefined where the kernel does not tell. */
  readonly waiting: number | undefined;
  /**
   * What the thread was stuck in: a system call on its own mount, waiting for a child process that used it, busy
   * (a long computation), or asleep for another reason.
   */
  readonly cause: 'own-mount' | 'child' | 'busy' | 'asleep';
  /** What became of the requests: they waited on, were answered ETIMEDOUT (ECANCELED), or the mount was ended. */
  readonly outcome: 'waiting' | 'answered' | 'ended';
  /** What was written to standard error. */
  readonly message: string;
  /** Requests that the thread held, and those that were answered in its place. */
  readonly requests: readonly { readonly op: Operation | undefined; readonly pid: number }[];
  /** Threads that waited for a FUSE filesystem. */
  readonly callers: readonly {
    readonly pid: number;
    readonly program: string;
    /** The system call, with what it was about as far as it can be told. */
    readonly call: string | undefined;
  }[];
}

const stalls = channel('ringfuse:stall');

/** Tells of a stall of one of this process's mounts. */
export function publishStall(stall: Stall): void {
  stalls.publish(stall);
}

/** A stall, of the native side's report. */
export function stallOf({ requests, callers, waiting, ...rest }: NativeStall): Stall {
  return {
    ...rest,
    waiting: waiting ?? undefined,
    requests: requests.map(({ opcode, pid }) => ({ op: nameOf(opcode), pid })),
    callers: callers.map(({ call, ...caller }) => ({ ...caller, call: call ?? undefined })),
  };
}

/** Why a mount has ended, if the watchdog ended it. */
export function stallThatEnded(native: NativeMount): FuseError | undefined {
  const message = native.stalled();
  return message === null ? undefined : new FuseError('ERR_RINGFUSE_STALLED', message);
}

/** The reason of a request's signal that was answered in the place of its thread. */
export function answeredInPlace(op: string): FuseError {
  return new FuseError('ETIMEDOUT', `${op}: the event loop stalled, and the caller was told so`);
}

const names = new Map(Object.entries(OPCODE).map(([name, opcode]) => [opcode as number, name.toLowerCase()]));

function nameOf(opcode: number): Operation | undefined {
  return names.get(opcode) as Operation | undefined;
}
