/**
 * A program that fills a `memory()` with one kind of object until there is no space, removes all, and prints what that
 * took: `node --expose-gc filler.js KIND SIZE INODES`.
 */

import { constants } from 'node:fs';
import { type Memory, memory } from '@ringfuse/fs';

const { S_IFREG } = constants;

/** What the program prints; bytes. */
export interface Filled {
  /** Objects made until there was no space, and how the next one failed. */
  readonly made: number;
  readonly code: string;
  /** What the process grew by, after a garbage collection. */
  readonly grown: number;
  /** What it is grown by once all was removed, without a garbage collection. */
  readonly left: number;
  /** `usage` and the free space once all was removed. */
  readonly usage: Memory['usage'];
  readonly free: { readonly bfree: number; readonly ffree: number };
}

const owner = { umask: 0, uid: 0, gid: 0, pid: 1, rdev: 0 };
const ROOT = 1;
const [kind = '', size = '', inodes = ''] = process.argv.slice(2);
const files = memory({ size: Number(size), inodes: Number(inodes), locks: kind.startsWith('lock') });

/** A handler, with the part of its request that it reads. */
function ask(op: keyof Memory, request: object): never {
  return (files[op] as (request: object) => never).call(files, request);
}

/** A string with memory of its own, as names from the kernel are. */
const flat = (text: string): string => Buffer.from(text, 'utf16le').toString('utf16le');
/** A name of 255 bytes that are not UTF-8. */
const longest = (index: number): string => flat('\udcff'.repeat(247) + String(index).padStart(8, '0'));

/** Lookups that the kernel would take back, by node. */
const lookups = new Map<number, number>();
const looked = ({ ino }: { ino: number }): number => {
  lookups.set(ino, (lookups.get(ino) ?? 0) + 1);
  return ino;
};
const make = (parent: number, name: string): number =>
  looked(ask('mknod', { ...owner, parent, name, mode: S_IFREG | 0o644 }));
const directory = (name: string): number =>
  looked(ask('mkdir', { ...owner, parent: ROOT, name, mode: 0o755 }));
const write = (ino: number, offset: number, data: Uint8Array): number =>
  ask('write', { ino, offset, data, writeFlags: 0 }) as number;
const forget = (ino: number): void => {
  ask('forget', { forgets: [{ ino, nlookup: lookups.get(ino) }] });
  lookups.delete(ino);
};
const set = (ino: number, name: string, value: Uint8Array): void =>
  ask('setxattr', { ino, name, value, flags: 0, setxattrFlags: 0 });

const byte = Buffer.from('x');
const chunk = Buffer.alloc(65536, 1);
const acl = Buffer.from(
  '0200000001000700ffffffff02000700e803000004000500ffffffff10000700ffffffff20000500ffffffff',
  'hex',
);

/** A file of its own for each thousand. */
let last = 0;
const shared = (index: number, every: number): number => {
  if (index % every === 0) last = make(ROOT, `file-${index}`);
  return last;
};

/** Makes object `index` of each kind. */
const kinds: Readonly<Record<string, (index: number) => unknown>> = {
  'empty files with the longest names': (index) => make(ROOT, longest(index)),
  'files of one byte': (index) => write(make(ROOT, longest(index)), 0, byte),
  'files of 600 bytes': (index) => write(make(ROOT, `file-${index}`), 0, chunk.subarray(0, 600)),
  'sparse files with a byte in each block': (index) =>
    write(shared(index, 1000), (index % 1000) * 4096, byte),
  'sparse files with bytes far from each other': (index) =>
    write(shared(index, 100), (index % 100) * 2 ** 46, byte),
  'large files': (index) => write(shared(index, 100), (index % 100) * 65536, chunk),
  'hard links': (index) =>
    index === 0
      ? make(ROOT, 'file')
      : looked(ask('link', { ino: 2, newParent: ROOT, newName: longest(index) })),
  'symbolic links': (index) =>
    looked(ask('symlink', { ...owner, parent: ROOT, name: longest(index), target: flat('t'.repeat(4095)) })),
  directories: (index) => directory(longest(index)),
  'directories whose names were removed': (index) => {
    const parent = directory(longest(index));
    for (let name = 0; name < 8; name += 1) {
      const ino = make(parent, longest(name));
      ask('unlink', { parent, name: longest(name) });
      forget(ino);
    }
  },
  'unlinked files that are open': (index) => {
    write(make(ROOT, `file-${index}`), 0, byte);
    ask('unlink', { parent: ROOT, name: `file-${index}` });
  },
  'empty extended attributes': (index) => set(shared(index, 1000), `user.${index}`, Buffer.alloc(0)),
  'extended attributes of a byte': (index) => set(shared(index, 1000), `user.${index}`, byte),
  'extended attributes with the longest names': (index) =>
    set(shared(index, 200), `user.${'\udcff'.repeat(242)}${String(index).padStart(8, '0')}`, byte),
  'access control lists': (index) => {
    const ino = directory(`directory-${index}`);
    set(ino, 'system.posix_acl_access', acl);
    set(ino, 'system.posix_acl_default', acl);
  },
  locks: (index) => {
    const lock = { start: 2 * (index % 100), end: 2 * (index % 100), type: 1, pid: 1 };
    ask('setlk', { ino: shared(index, 100), lock, owner: BigInt(index), fh: 1, flock: false });
  },
  'contents that are written and cut off again and again': (index) => {
    const ino = index === 0 ? make(ROOT, 'file') : 2;
    if (index % 2000 === 1999) ask('setattr', { ino, valid: 8, attr: { size: 0 } });
    // Never full: it ends with the last round.
    if (index === 20_000) throw Object.assign(new Error('enough'), { code: 'ENOSPC' });
    write(ino, (index % 300) * 65536, chunk);
  },
};

const object = kinds[kind];
gc?.();
const before = process.memoryUsage();
let made = 0;
let code = '';
try {
  for (; ; made += 1) object(made);
} catch (error) {
  code = (error as { code: string }).code;
}
gc?.();
const grown = process.memoryUsage().rss - before.rss;

// All that was made, found by listing it, as `rm -r` does.
const stored = ask('readdir', { ino: ROOT, fh: 1, offset: 0 }) as Iterable<{
  name: string;
  mode: number;
  ino: number;
}>;
for (const { name, mode } of [...stored].filter((entry) => entry.name !== '.' && entry.name !== '..')) {
  ask((mode & constants.S_IFMT) === constants.S_IFDIR ? 'rmdir' : 'unlink', { parent: ROOT, name });
}
for (const ino of lookups.keys()) {
  if (kind === 'locks') ask('release', { ino, fh: 1, lockOwner: 0n });
  forget(ino);
}
const { bfree, ffree } = ask('statfs', {}) as { bfree: number; ffree: number };
const left = process.memoryUsage().rss - before.rss;
console.log(
  JSON.stringify({ made, code, grown, left, usage: files.usage, free: { bfree, ffree } } satisfies Filled),
);
