/**
 * Node.js programs as Linux filesystems, at the speed of FUSE-over-io_uring.
 *
 * @packageDocumentation
 */

export type {
  Attributes,
  AttributesReply,
  CreateReply,
  DirectoryEntry,
  DirectoryEntryPlus,
  EntryReply,
  ExtendedAttributes,
  NegativeEntryReply,
  OpenReply,
  StatfsReply,
  StatxReply,
  Time,
  Timespec,
} from './attributes.ts';
export { Backing } from './backing.ts';
export { Connection } from './connection.ts';
export type { Timeouts } from './deadlines.ts';
export { type ErrnoName, type ErrorCode, FuseError, type FuseErrorOptions } from './errors.ts';
export { FATTR, FOPEN, ROOT_ID, SETXATTR } from './generated/layout.ts';
export type { Handlers } from './handlers.ts';
export { type CloseOptions, Mount, mount, type Stats } from './mount.ts';
export type { MountFlags } from './mount-flags.ts';
export { decodeName, encodeName } from './names.ts';
export { Notifier } from './notifier.ts';
export type { Agreement, Capability, Maker, MountOptions, Transport } from './options.ts';
export type { PollingOptions } from './polling.ts';
export { type Fusermount, probeFusermount, probeIoUring } from './probe.ts';
export { FuseRequest, NamedRequest, NodeRequest } from './request.ts';
export * from './requests/creation.ts';
export * from './requests/devices.ts';
export * from './requests/directories.ts';
export * from './requests/entries.ts';
export * from './requests/files.ts';
export { type Operation, operations, type Reply, type Request, type Requests } from './requests/index.ts';
export * from './requests/locks.ts';
export * from './requests/nodes.ts';
export * from './requests/xattrs.ts';
export { serve } from './serve.ts';
export type { OnStall, Stall } from './stalls.ts';
export type { WorkerContext, WorkerModule, WorkersOptions } from './worker-context.ts';
