/** The heap of a server, for the client that measures it. */

import type { Handlers, Requests } from 'ringfuse';

/** The extended attribute whose value is the number of bytes, as text. */
const HEAP = 'user.ringfuse-bench.heap';

/**
 * `handlers`, with an attribute of every file that tells how many bytes of the JavaScript heap are in use after a
 * full collection. That needs `node --expose-gc`; without it the attribute is what the filesystem says it is.
 */
export function withHeap(handlers: Handlers): Handlers {
  const collect = globalThis.gc;
  if (collect === undefined) return handlers;
  const own = handlers.getxattr;
  handlers.getxattr = (request: Requests['getxattr']) => {
    if (request.name !== HEAP) {
      if (own === undefined) return request.fail('ENOSYS') as never;
      return own.call(handlers, request);
    }
    collect();
    return Buffer.from(String(process.memoryUsage().heapUsed));
  };
  return handlers;
}
