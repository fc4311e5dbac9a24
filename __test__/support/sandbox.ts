/** A filesystem whose files behave as their names say. */

import type { Attributes, Handlers, Request } from 'ringfuse';

/** What `file` contains. */
export const CONTENTS: Buffer = Buffer.from('the contents of a file\n');

/** `never`: reads of it are not answered. */
export const NAMES: readonly string[] = ['file', 'never'];

const FIRST_FILE = 2;
const root: Attributes = { mode: 0o40755, nlink: 2 };
const file: Attributes = { mode: 0o100644, size: CONTENTS.length };

/** The file's node. */
export function inoOf(name: string): number {
  return FIRST_FILE + NAMES.indexOf(name);
}

/** Handlers of the filesystem; nothing of it is cached if it is mounted with {@link UNCACHED}. */
export function sandbox(more: Handlers = {}): Handlers {
  return {
    lookup: ({ name }) => (NAMES.includes(name) ? { ino: inoOf(name), attr: file } : null),
    getattr: ({ ino }) => ({ attr: ino === 1 ? root : file }),
    read: ({ ino, offset, size }) =>
      ino === inoOf('never') ? new Promise<never>(() => undefined) : CONTENTS.subarray(offset, offset + size),
    readdir: ({ offset }) =>
      NAMES.map((name, index) => ({ name, ino: inoOf(name), offset: index + 1 })).slice(offset),
    ...more,
  };
}

/** Options with which every system call reaches the filesystem. */
export const UNCACHED = { entryTimeout: 0, attrTimeout: 0, directIo: true } as const;

/** A promise for the first request that `matches`, and a handler table that notices it. */
export function noticing(handlers: Handlers, matches: (request: Request) => boolean): Noticing {
  let notice!: (request: Request) => void;
  const noticed = new Promise<Request>((resolve) => {
    notice = resolve;
  });
  const watching = Object.fromEntries(
    Object.entries(handlers).map(([op, handler]) => [
      op,
      (request: Request) => {
        if (matches(request)) notice(request);
        return (handler as (request: Request) => unknown)(request);
      },
    ]),
  );
  return { handlers: watching as Handlers, noticed };
}

/** See {@link noticing}. */
export interface Noticing {
  readonly handlers: Handlers;
  readonly noticed: Promise<Request>;
}
