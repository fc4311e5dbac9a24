/** A worker's module: the sandbox, whose thread is busy for a while when somebody looks up `busy`. */

import type { Handlers } from 'ringfuse';
import { sandbox } from './sandbox.ts';

/** Milliseconds. */
export const BUSY = 1500;

const handlers = sandbox();

const busy: Handlers = {
  ...handlers,
  lookup: (request) => {
    if (request.name === 'busy') for (const end = performance.now() + BUSY; performance.now() < end; );
    return handlers.lookup?.(request) ?? null;
  },
};

export default busy;
