import type { Connection } from './connection.ts';
import type { Handlers } from './handlers.ts';

/** What a worker's module is told. */
export interface WorkerContext {
  /** The mount, as this worker has it. */
  readonly mount: Connection;
  /** What `workers.data` of the mount's options was, cloned as `postMessage` does; shared memory stays shared. */
  readonly data: unknown;
  /** This worker's number, from 0. A worker that takes a dead one's place has its number. */
  readonly index: number;
  /** How many workers serve the mount. */
  readonly count: number;
  /** The CPUs whose requests this worker answers. */
  readonly cpus: readonly number[];
}

/**
 * A module that serves a mount in workers: its default export is the filesystem, or a function that makes it, called
 * once in each worker before requests come.
 */
export interface WorkerModule {
  readonly default: Handlers | ((context: WorkerContext) => Handlers | PromiseLike<Handlers>);
}

/** How a mount is served by worker threads. */
export interface WorkersOptions {
  /** The module that each worker loads, a {@link WorkerModule}: an absolute path or a URL. */
  readonly module: string | URL;
  /** How many workers: 1 … 1024, at most one for each CPU's queue. Default: one for each CPU in use. */
  readonly count?: number;
  /** Keep each worker on the CPUs whose requests it answers. Default true. */
  readonly pin?: boolean;
  /** For the module: see {@link WorkerContext.data}. */
  readonly data?: unknown;
}
