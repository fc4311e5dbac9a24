import type { Handlers, WorkerContext } from 'ringfuse';
import { systemCalls } from 'ringfuse/system-calls';
import { mirrorHandlers } from './mirror.ts';
import type { SourceShare } from './source.ts';

/** The module that workers load for a mirror. */
export default function serveMirror({ mount, data }: WorkerContext): Handlers {
  // Nothing but the mirror runs on this thread. Where it is refused, creations cost more.
  systemCalls().unshareUmask();
  return mirrorHandlers(mount, data as SourceShare);
}
