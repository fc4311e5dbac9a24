/** Requests on names: they find, make, move and remove them. */

import { constants as files } from 'node:fs';
import { constants } from 'node:os';
import type {
  EntryReply,
  Handlers,
  LookupRequest,
  NegativeEntryReply,
  Rename2Request,
  RenameRequest,
  RmdirRequest,
  UnlinkRequest,
} from 'ringfuse';
import { AT_EMPTY_PATH, check } from 'ringfuse/system-calls';
import type { BackingFiles } from './backing-files.ts';
import type { Rights } from './rights.ts';
import type { Source } from './source.ts';

const { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } = files;
const ENOENT = constants.errno.ENOENT;
const EMPTY = new Uint8Array();

/** `RENAME_*` of `renameat2(2)`. */
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;

/** Their handlers. */
export function nameHandlers(source: Source, backing: BackingFiles, rights: Rights): Handlers {
  const { calls } = source;
  const { timeout } = source.options;
  const none: NegativeEntryReply | null = timeout > 0 ? { ino: 0, entryTimeout: timeout } : null;

  const rename = (request: RenameRequest | Rename2Request, flags: number): void => {
    const { parent, nameBytes, newParent, newNameBytes } = request;
    if (!(flags & (RENAME_NOREPLACE | RENAME_EXCHANGE))) source.keep(newParent, newNameBytes);
    // Before this thread acts for the caller, who may not open handles.
    const [from, to] = [source.descriptor(parent), source.descriptor(newParent)];
    const move = (): number => check(calls.renameat2(from, nameBytes, to, newNameBytes, flags));
    // A directory that gets another parent must be the caller's to write as well.
    rights.onNames(request, parent === newParent ? [from] : undefined, move);
  };

  const remove = (request: UnlinkRequest | RmdirRequest, isDirectory: boolean): void => {
    const { parent, nameBytes } = request;
    source.keep(parent, nameBytes);
    const dir = source.descriptor(parent);
    rights.onNames(request, [dir], () => check(calls.unlinkat(dir, nameBytes, isDirectory)));
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
      const { parent, nameBytes, mode, umask } = request;
      const dir = source.descriptor(parent);
      const { uid, gid, groups, kept } = rights.maker(request, dir, mode);
      check(calls.mkdiratAs(dir, nameBytes, mode, umask, uid, gid, groups, kept));
      return source.found(parent, nameBytes, S_IFDIR);
    },

    mknod(request) {
      const { parent, nameBytes, mode, rdev, umask } = request;
      const dir = source.descriptor(parent);
      const { uid, gid, groups, kept } = rights.maker(request, dir, mode);
      check(calls.mknodatAs(dir, nameBytes, mode, rdev, umask, uid, gid, groups, kept));
      // mknod(2) takes no type for a regular file.
      return source.found(parent, nameBytes, mode & S_IFMT || S_IFREG);
    },

    symlink(request) {
      const { parent, nameBytes, targetBytes } = request;
      const dir = source.descriptor(parent);
      rights.onNames(request, [dir], () => check(calls.symlinkat(targetBytes, dir, nameBytes)));
      return source.found(parent, nameBytes, S_IFLNK);
    },

    link(request) {
      const { ino, newParent, newNameBytes } = request;
      const [fd, dir] = [source.descriptor(ino), source.descriptor(newParent)];
      rights.onNames(request, [fd, dir], () =>
        check(calls.linkat(fd, EMPTY, dir, newNameBytes, AT_EMPTY_PATH)),
      );
      return source.again(ino, fd);
    },

    unlink: (request) => remove(request, false),

    rmdir: (request) => remove(request, true),

    rename: (request) => rename(request, 0),

    rename2: (request) => rename(request, request.flags),
  };
}
