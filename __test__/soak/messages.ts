/** What the soak and its server tell each other. */

import type { Stats } from 'ringfuse';

/** What the server is told: to go on with notifications and cycles, to come to rest and report, to unmount and end. */
export type Command = 'go' | 'rest' | 'end';

/** What the server has, at rest. */
export interface Report {
  readonly stats: Stats;
  /** Nodes whose lookups the kernel has not taken back, and how often it took back too many. */
  readonly nodes: number;
  readonly mistakes: number;
  readonly delays: number;
  readonly heeded: number;
  /** Errors that no caller could be told of. */
  readonly errors: readonly string[];
  /** Notifications that were sent, and those of them that the kernel acted on. */
  readonly notifications: number;
  readonly effective: number;
  /** Other mounts that the process made and ended meanwhile. */
  readonly cycles: number;
  readonly descriptors: number;
  readonly threads: number;
  readonly mappings: number;
  readonly handles: number;
  /** Resident memory, bytes. */
  readonly resident: number;
}
