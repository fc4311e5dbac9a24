/** The handlers of an object as functions that can be called without it, for tests that replace some of them. */

import { type Handlers, operations, type Request } from 'ringfuse';

/** All handlers of `files`. */
export function bound(files: Handlers): Handlers {
  const entries = operations.flatMap((op) => {
    const handler = files[op] as ((request: Request) => unknown) | undefined;
    return handler === undefined ? [] : [[op, handler.bind(files)]];
  });
  return Object.fromEntries(entries) as Handlers;
}
