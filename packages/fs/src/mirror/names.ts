/** Requests on names: they find, make, move and remove them. */

import { constants } from 'node:os';
import type { EntryReply, Handlers, LookupRequest, NegativeEntryReply } from 'ringfuse';
import { AT_EMPTY_PATH, check } from 'ringfuse/system-calls';
import type { BackingFiles } from './backing-files.ts';
import type { Source } from './source.ts';

const ENOENT = constants.errno.ENOENT;
const EMPTY = new Uint8Array();

/** Their handlers. */
export function nameHandlers(source: Source, backing: BackingFiles): Handlers {
  const { calls } = source;
  const { timeout } = source.options;
  const none: NegativeEntryReply | null = timeout > 0 ? { ino: 0, entryTimeout: timeout } : null;

  return {
    lookup({ parent, nameBytes }: LookupRequest): EntryReply | NegativeEntryReply | null {
      const entry = source.find(parent, nameBytes);
      if (typeof entry !== 'number') return entry;
      if (entry !== -ENOENT) check(entry);
      return none;
    },

    forget({ forgets }) {
      for (const { ino, nlookup } of forgets) backing.forget(ino, nlookup);
    },

    mkdir(request) {
      const { parent, nameBytes, mode, umask } = request;
      const { uid, gid } = source.maker(request);
      check(calls.mkdiratAs(source.descriptor(parent), nameBytes, mode, umask, uid, gid));
      return source.found(parent, nameBytes);
    },

    mknod(request) {
      const { parent, nameBytes, mode, rdev, umask } = request;
      const { uid, gid } = source.maker(request);
      check(calls.mknodatAs(source.descriptor(parent), nameBytes, mode, rdev, umask, uid, gid));
      return source.found(parent, nameBytes);
    },

    symlink(request) {
      const { parent, nameBytes, targetBytes } = request;
      const dir = source.descriptor(parent);
      source.asCaller(request, () => check(calls.symlinkat(targetBytes, dir, nameBytes)));
      return source.found(parent, nameBytes);
    },

    link({ ino, newParent, newNameBytes }) {
      check(
        calls.linkat(
          source.descriptor(ino),
          EMPTY,
          source.descriptor(newParent),
          newNameBytes,
          AT_EMPTY_PATH,
        ),
      );
      return source.found(newParent, newNameBytes);
    },

    unlink({ parent, nameBytes }) {
      check(calls.unlinkat(source.descriptor(parent), nameBytes, false));
    },

    rmdir({ parent, nameBytes }) {
      check(calls.unlinkat(source.descriptor(parent), nameBytes, true));
    },

    rename({ parent, nameBytes, newParent, newNameBytes }) {
      check(
        calls.renameat2(source.descriptor(parent), nameBytes, source.descriptor(newParent), newNameBytes, 0),
      );
    },

    rename2({ parent, nameBytes, newParent, newNameBytes, flags }) {
      check(
        calls.renameat2(
          source.descriptor(parent),
          nameBytes,
          source.descriptor(newParent),
          newNameBytes,
          flags,
        ),
      );
    },
  };
}
