/** Requests on names: they find, make, move and remove them. */

import { constants } from 'node:os';
import type { EntryReply, Handlers, LookupRequest, MkdirRequest, NegativeEntryReply } from 'ringfuse';
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

  /** What was made is looked up at once: another name of it could only be somebody else's who replaced it. */
  const make = (
    request: Pick<MkdirRequest, 'uid' | 'gid' | 'parent' | 'nameBytes'>,
    call: (dir: number, name: Buffer) => number,
  ) => {
    const name = request.nameBytes;
    // Had before this thread acts for the caller, who may not open handles.
    const dir = source.descriptor(request.parent);
    source.asCaller(request, () => check(call(dir, name)));
    return source.found(request.parent, name);
  };

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
      const { parent } = request;
      const mode = source.modeIn(parent, request);
      const entry = make(request, (dir, name) => calls.mkdirat(dir, name, mode));
      return source.completeMode(entry, parent, mode);
    },

    mknod(request) {
      const { parent, rdev } = request;
      const mode = source.modeIn(parent, request);
      const entry = make(request, (dir, name) => calls.mknodat(dir, name, mode, rdev));
      return source.completeMode(entry, parent, mode);
    },

    symlink(request) {
      const { targetBytes } = request;
      return make(request, (dir, name) => calls.symlinkat(targetBytes, dir, name));
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
