/** @internal What the thread that made a mount and its workers tell each other. */

import type { ChannelSettings } from './channel.ts';
import type { ErrorRecord } from './foreign-errors.ts';
import type { Stall } from './stalls.ts';

/** What a worker is made with. */
export interface WorkerSettings {
  readonly token: number;
  readonly index: number;
  readonly count: number;
  readonly cpus: readonly number[];
  readonly pin: boolean;
  readonly module: string;
  readonly channel: ChannelSettings;
  readonly data: unknown;
}

/** To a worker. */
export type Order =
  /** FUSE_INIT is answered: serve. */
  | { readonly type: 'start' }
  /** The mount has ended. */
  | { readonly type: 'end' }
  /** What the kernel answered to a notification of this worker. */
  | Retrieved;

/** From a worker. */
export type News =
  /** The module is loaded. */
  | { readonly type: 'ready' }
  /** The kernel has this worker's slots. */
  | { readonly type: 'started' }
  /** The connection to the kernel ended; an error if it broke. */
  | { readonly type: 'ended'; readonly error: ErrorRecord | undefined }
  /** The worker did not come to its requests. */
  | { readonly type: 'stalled'; readonly stall: Stall }
  /** An error that no caller can be told of. */
  | { readonly type: 'report'; readonly error: ErrorRecord }
  | Retrieved;

/** What the kernel answered to a RETRIEVE, wherever it arrived. */
export interface Retrieved {
  readonly type: 'retrieved';
  readonly unique: bigint;
  readonly data: Uint8Array;
}
