/** Filesystems for ringfuse. */

export type { Memory } from './filesystem.ts';
export { memory } from './memory.ts';
export type { MirrorMount } from './mirror/backing-files.ts';
export { Mirror, mirror, mirrorHandlers } from './mirror/mirror.ts';
export type { MirrorOptions } from './mirror/options.ts';
export type { SourceShare } from './mirror/source.ts';
export { type MemoryOptions, memoryMountOptions } from './options.ts';
export type { Usage } from './tree.ts';
