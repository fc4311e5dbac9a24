import type { Handlers, WorkerContext } from 'ringfuse';
import { mirrorHandlers } from './mirror.ts';
import type { SourceShare } from './source.ts';

/** The module that workers load for a mirror. */
export default function serveMirror({ mount, data }: WorkerContext): Handlers {
  return mirrorHandlers(mount, data as SourceShare);
}
