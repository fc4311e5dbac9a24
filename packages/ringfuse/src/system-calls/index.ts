/**
 * System calls for filesystems over another one, relative to descriptors.
 *
 * @packageDocumentation
 */

export { type SystemCalls, systemCalls } from './calls.ts';
export * from './constants.ts';
export { directoryEntries } from './directory-entries.ts';
export { asCaller, asUser, type Identity, withoutCapability } from './identity.ts';
export { NodeTable } from './node-table.ts';
export { ownConnections } from './own-connections.ts';
export { check } from './result.ts';
export { Statfs } from './statfs.ts';
export { Statx } from './statx.ts';
