/** Requests on open directories. */

import { constants } from 'node:fs';
import { type DirectoryEntry, type DirectoryEntryPlus, type Handlers, ROOT_ID } from 'ringfuse';
import { check, directoryEntries } from 'ringfuse/system-calls';
import type { BackingFiles } from './backing-files.ts';
import type { Device } from './devices.ts';
import type { Source } from './source.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

const DOT = Buffer.from('.');
const DOT_DOT = Buffer.from('..');

/** An entry of a `readdirplus` reply is about so many times as long as one of the system. */
const PLUS_FACTOR = 5;

/** Bytes for entries of the system: one of them, with the longest name, at least. */
const LEAST_BYTES = 512;

/** Their handlers. */
export function directoryHandlers(source: Source, backing: BackingFiles): Handlers {
  const { calls, nodes } = source;

  /**
   * The entries after an offset, read from the system as they are taken: an offset is the system's own. An error after
   * the first entry ends the list. It comes again, and is thrown, when the kernel asks for what follows.
   */
  function* list(ino: number, fh: number, after: bigint, bytes: number): Generator<DirectoryEntry> {
    let listed = false;
    try {
      check(calls.seekdir(fh, after));
      const device = source.device(fh);
      const buffer = Buffer.allocUnsafe(Math.max(bytes, LEAST_BYTES));
      for (;;) {
        const length = check(calls.getdents64(fh, buffer));
        if (length === 0) return;
        for (const entry of directoryEntries(buffer, length)) {
          yield seen(entry, ino, device);
          listed = true;
        }
      }
    } catch (error) {
      if (!listed) throw error;
    }
  }

  /** An entry as programs are to see it. What is above the root is not theirs to see. */
  const seen = (entry: DirectoryEntry, ino: number, device: Device): DirectoryEntry => {
    if (ino === ROOT_ID && DOT_DOT.equals(entry.name as Uint8Array)) {
      const { ino: root = entry.ino } = source.attributes(source.descriptor(ROOT_ID));
      return { ...entry, ino: root };
    }
    return { ...entry, ino: device.shown(entry.ino) };
  };

  /** An entry with its node. What vanished in between, or cannot be looked up, is listed without. */
  const lookUp = (parent: number, entry: DirectoryEntry): DirectoryEntryPlus | DirectoryEntry => {
    const name = entry.name as Uint8Array;
    if (DOT.equals(name) || DOT_DOT.equals(name)) return entry;
    try {
      const found = source.find(parent, name);
      return typeof found === 'number' ? entry : { ...found, name, offset: entry.offset };
    } catch {
      return entry;
    }
  };

  return {
    opendir({ ino, flags }) {
      const own = (flags & ~O_NOFOLLOW) | O_RDONLY | O_DIRECTORY;
      return { fh: nodes.hold(check(calls.openat(source.descriptor(ino), DOT, own, 0))) };
    },

    readdir({ ino, fh, exactOffset, size }) {
      return list(ino, fh, exactOffset, size);
    },

    *readdirplus({ ino, fh, exactOffset, size }) {
      for (const listed of list(ino, fh, exactOffset, Math.floor(size / PLUS_FACTOR))) {
        const entry = lookUp(ino, listed);
        let taken = false;
        try {
          yield entry;
          taken = true;
        } finally {
          // The kernel does not hear of an entry that had no room.
          if (!taken && 'attr' in entry) backing.forget(entry.ino, 1);
        }
      }
    },

    releasedir({ fh }) {
      nodes.release(fh);
    },
  };
}
