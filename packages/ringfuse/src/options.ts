import { invalidOption } from './errors.ts';
import { INIT } from './generated/layout.ts';
import type { Request } from './requests/index.ts';

/** A capability of FUSE_INIT by the kernel's name, without `FUSE_`: `'WRITEBACK_CACHE'`. */
export type Capability = keyof typeof INIT;

/** How requests reach the filesystem. */
export type Transport = 'io_uring' | 'dev_fuse';

/** What `mount` may be told. */
export interface MountOptions {
  /** Shown as the type and source in /proc/mounts: `fuse.NAME`. Default: `ringfuse`. */
  readonly name?: string;
  /**
   * `'io_uring'`: the ring, or an error that says why not. `'dev_fuse'`: reads and writes on /dev/fuse.
   * `'auto'`, the default: the ring where the kernel offers it, otherwise /dev/fuse; `Mount.transport` and
   * `Mount.transportReason` say which it is and why.
   */
  readonly transport?: Transport | 'auto';
  /** Requests that can be in handlers at once, for each CPU's queue: 1 … 1024. Default 32. */
  readonly queueDepth?: number;
  /** Largest write (and read) in one request, bytes: 4096 … 16 MiB, a multiple of 4096. Default 1 MiB. */
  readonly maxWrite?: number;
  /** Background requests (readahead, write-back, asynchronous I/O) that the kernel lets run. Default 64. */
  readonly maxBackground?: number;
  /** Seconds for which names may be cached, where a reply does not say. Default 1. */
  readonly entryTimeout?: number;
  /** Seconds for which attributes may be cached, where a reply does not say. Default 1. */
  readonly attrTimeout?: number;
  /** Open files with `FOPEN_DIRECT_IO` (no page cache), where a reply does not say. Default false. */
  readonly directIo?: boolean;
  /** Let other users in. Default false: only the user who mounted. */
  readonly allowOther?: boolean;
  /** Let the kernel check permissions by mode, owner and group. Default false. */
  readonly defaultPermissions?: boolean;
  /** Refuse all changes. Default false. */
  readonly readOnly?: boolean;
  /**
   * Capabilities of FUSE_INIT wanted beyond the defaults; one that the kernel does not offer is an error.
   * See `docs/capabilities.md`.
   */
  readonly capabilities?: readonly Capability[];
  /** Ends the mount, as `destroy(signal.reason)`. */
  readonly signal?: AbortSignal;
  /**
   * Told of errors that no caller can be told of: a handler that threw something without an errno, a reply of
   * the wrong shape. Default: a process warning.
   */
  readonly onError?: (error: unknown, request: Request | undefined) => void;
}
