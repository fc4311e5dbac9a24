/** Names that a listing brings along, kept by the kernel though no others are. */

import type { DirectoryEntry, DirectoryEntryPlus, Handlers, Requests } from 'ringfuse';

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
  entries: Iterable<DirectoryEntry | DirectoryEntryPlus>,
  entryTimeout: number,
): Generator<DirectoryEntry | DirectoryEntryPlus, void, undefined> {
  for (const entry of entries) {
    if (!('attr' in entry)) yield entry;
    else
      yield {
        name: entry.name,
        offset: entry.offset,
        ino: entry.ino as number,
        attr: entry.attr,
        entryTimeout,
      };
  }
}
