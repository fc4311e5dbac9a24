/**
 * The filesystem of `crates/ringfuse-bench/src/tiny.rs` in TypeScript: names of the root exist from their creation
 * to their unlinking, attributes are fixed, writes are accepted and dropped, and one directory is there to be listed.
 */

import { constants } from 'node:fs';
import {
  type DirectoryEntryPlus,
  FOPEN,
  FuseError,
  type Handlers,
  type Reply,
  type Requests,
} from 'ringfuse';
import type { Names } from './names.ts';

const { O_DIRECT, O_EXCL, S_IFDIR, S_IFREG } = constants;

const LARGEST_TRANSFER = 1 << 20;
const FILE_BYTES = 2 ** 30;
/** For how many seconds attributes may be cached. */
export const ATTRIBUTES_VALID = 60;
const ENTRIES = 100_000;
const ENTRY = /^entry-\d{6}$/;

const ROOT = 1;
const MANY = ROOT + 1;
const FIRST_ENTRY = MANY + 1;

/** Files have nodes above this one. */
export const LAST_ENTRY = FIRST_ENTRY + ENTRIES - 1;

const directory = { mode: S_IFDIR | 0o755, nlink: 2 };
const file = { mode: S_IFREG | 0o644, nlink: 1, size: FILE_BYTES, blocks: FILE_BYTES / 512, blksize: 4096 };
const contents = Buffer.alloc(LARGEST_TRANSFER, 0xa5);

const attributes = (ino: number) => (ino <= MANY ? directory : file);
const opened = (flags: number) =>
  flags & O_DIRECT ? { openFlags: FOPEN.DIRECT_IO | FOPEN.PARALLEL_DIRECT_WRITES } : {};
const entry = (ino: number) => ({ ino, attr: attributes(ino) });
const listed = (ino: number) => ({ ...entry(ino), entryTimeout: ATTRIBUTES_VALID });

/** Options of `mount` that suit it. */
export const tinyMountOptions = {
  entryTimeout: 0,
  attrTimeout: ATTRIBUTES_VALID,
  capabilities: ['DO_READDIRPLUS', 'READDIRPLUS_AUTO', 'EXPLICIT_INVAL_DATA'],
} as const;

/** The filesystem as an object of handlers. */
export class Tiny implements Handlers {
  readonly #names: Names;

  constructor(names: Names) {
    this.#names = names;
    names.add('file');
  }

  lookup({ parent, name }: Requests['lookup']): Reply<'lookup'> {
    if (parent !== ROOT) {
      const number = ENTRY.test(name) ? Number(name.slice(-6)) : ENTRIES;
      return number < ENTRIES ? listed(FIRST_ENTRY + number) : null;
    }
    const ino = name === 'many' ? MANY : this.#names.get(name);
    return ino === undefined ? null : entry(ino);
  }

  getattr({ ino }: Requests['getattr']): Reply<'getattr'> {
    return { attr: attributes(ino) };
  }

  setattr({ ino }: Requests['setattr']): Reply<'setattr'> {
    return { attr: attributes(ino) };
  }

  open({ flags }: Requests['open']): Reply<'open'> {
    return opened(flags);
  }

  create({ name, flags }: Requests['create']): Reply<'create'> {
    let ino = this.#names.add(name);
    if (ino === undefined && !(flags & O_EXCL)) ino = this.#names.get(name);
    if (ino === undefined) throw new FuseError('EEXIST');
    return { ...entry(ino), ...opened(flags) };
  }

  read({ offset, size }: Requests['read']): Reply<'read'> {
    return contents.subarray(0, Math.max(0, Math.min(size, FILE_BYTES - offset)));
  }

  write({ data }: Requests['write']): Reply<'write'> {
    return data.length;
  }

  unlink({ name }: Requests['unlink']): void {
    if (!this.#names.delete(name)) throw new FuseError('ENOENT');
  }

  rename({ name, newName }: Pick<Requests['rename'], 'name' | 'newName'>): void {
    const ino = this.#names.get(name);
    if (ino === undefined) throw new FuseError('ENOENT');
    this.#names.delete(name);
    this.#names.set(newName, ino);
  }

  rename2(request: Requests['rename2']): void {
    this.rename(request);
  }

  readdir({ ino, offset }: Requests['readdir']): Iterable<DirectoryEntryPlus> {
    return ino === MANY ? entriesAfter(offset) : this.#namesAfter(offset);
  }

  readdirplus(request: Pick<Requests['readdir'], 'ino' | 'offset'>): Iterable<DirectoryEntryPlus> {
    return this.readdir(request as Requests['readdir']);
  }

  fsync(): void {}

  statfs(): Reply<'statfs'> {
    return { bsize: 4096, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };
  }

  *#namesAfter(offset: number): Generator<DirectoryEntryPlus> {
    for (const [name, ino] of this.#names.entries())
      if (ino > offset) yield { name, offset: ino, ...entry(ino) };
  }
}

/** A node's number is also the offset behind its entry. */
function* entriesAfter(offset: number): Generator<DirectoryEntryPlus> {
  for (let ino = Math.max(offset + 1, FIRST_ENTRY); ino <= LAST_ENTRY; ino += 1) {
    const name = `entry-${String(ino - FIRST_ENTRY).padStart(6, '0')}`;
    yield { name, offset: ino, ...listed(ino) };
  }
}
