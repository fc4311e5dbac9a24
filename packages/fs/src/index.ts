/** Filesystems for ringfuse. */

export { memory } from './memory.ts';
export { type MemoryOptions, memoryMountOptions } from './options.ts';
