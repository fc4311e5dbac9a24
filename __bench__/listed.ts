/** Names that a listing brings along, kept by the kernel though no others are. */

import type { DirectoryEntryPlus, Handlers, Requests } from 'ringfuse';

/**
 * `handlers`, with `entryTimeout` seconds for each name of a `readdirplus`: without them, whoever asks for the
 * attributes of what it listed would have each name looked up all the same.
 */
export function withListedNamesCached(handlers: Handlers, entryTimeout: number): Handlers {
  const own = handlers.readdirplus;
  if (own === undefined) return handlers;
  handlers.readdirplus = (request: Requests['readdirplus']) => {
    const reply = own.call(handlers, request);
    return 'then' in reply
      ? reply.then((entries) => cached(entries, entryTimeout))
      : cached(reply, entryTimeout);
  };
  return handlers;
}

function* cached(
  entries: Iterable<DirectoryEntryPlus>,
  entryTimeout: number,
): Generator<DirectoryEntryPlus, void, undefined> {
  for (const { name, offset, ino, attr } of entries) {
    yield { name, offset, ino, attr, entryTimeout } as DirectoryEntryPlus;
  }
}
