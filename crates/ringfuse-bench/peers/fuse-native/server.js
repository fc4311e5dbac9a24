/**
 * `node server.js DIR`: the tiny filesystem (see `crates/ringfuse-bench/src/tiny.rs`), served by `fuse-native`
 * until SIGTERM. Its interface has paths; attributes and names are cached as in the other servers, but that the
 * long directory's names cannot be: libfuse 2 has one timeout for all names.
 */

import { execFileSync } from 'node:child_process';
import Fuse from 'fuse-native';

const FILE_BYTES = 2 ** 30;
const ENTRIES = 100_000;
const LARGEST_TRANSFER = 2 ** 17;

const contents = Buffer.alloc(LARGEST_TRANSFER, 0xa5);
const epoch = new Date(0);
const times = { atime: epoch, mtime: epoch, ctime: epoch, uid: 0, gid: 0 };
const directory = { ...times, mode: 0o40755, nlink: 2, size: 0 };
const file = { ...times, mode: 0o100644, nlink: 1, size: FILE_BYTES };

const entryName = (number) => `entry-${String(number).padStart(6, '0')}`;
const entries = Array.from({ length: ENTRIES }, (_, number) => entryName(number));
const names = new Set(['/file']);
const listed = new Set(entries.map((name) => `/many/${name}`));

/** The attributes of a path; undefined if there is nothing. */
function attributes(path) {
  if (path === '/' || path === '/many') return directory;
  return names.has(path) || listed.has(path) ? file : undefined;
}

const answerAttributes = (path, callback) => {
  const found = attributes(path);
  if (found === undefined) callback(Fuse.ENOENT);
  else callback(0, found);
};

const handlers = {
  getattr: answerAttributes,
  fgetattr: (path, _fd, callback) => answerAttributes(path, callback),
  readdir(path, callback) {
    callback(0, path === '/many' ? entries : [...names, '/many'].map((name) => name.slice(1)));
  },
  open: (_path, _flags, callback) => callback(0, 0),
  create(path, _mode, callback) {
    names.add(path);
    callback(0, 0);
  },
  unlink: (path, callback) => callback(names.delete(path) ? 0 : Fuse.ENOENT),
  rename(from, to, callback) {
    if (!names.delete(from)) return callback(Fuse.ENOENT);
    names.add(to);
    callback(0);
  },
  read(_path, _fd, buffer, length, position, callback) {
    const count = Math.max(0, Math.min(length, LARGEST_TRANSFER, FILE_BYTES - position));
    contents.copy(buffer, 0, 0, count);
    callback(count);
  },
  write: (_path, _fd, _buffer, length, _position, callback) => callback(length),
  truncate: (_path, _size, callback) => callback(0),
  ftruncate: (_path, _fd, _size, callback) => callback(0),
  release: (_path, _fd, callback) => callback(0),
  statfs: (_path, callback) => callback(0, { bsize: 4096, frsize: 4096, blocks: 0, bfree: 0, bavail: 0 }),
};

/** With options of libfuse that its own do not reach: 0 as a timeout, and writes of more than a page. */
class Peer extends Fuse {
  _fuseOptions() {
    return '-oentry_timeout=0,negative_timeout=0,attr_timeout=60,big_writes,use_ino,fsname=peer-fuse-native';
  }
}

const [mountpoint] = process.argv.slice(2);
const peer = new Peer(mountpoint, handlers, { timeout: false });
let ending = false;

function end() {
  if (ending) return;
  ending = true;
  // Its own unmount() calls `fusermount` of fuse 2, which most systems have no more.
  execFileSync('umount', ['--lazy', mountpoint]);
  process.exit(0);
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, end);
peer.mount((error) => {
  if (error) {
    console.error(String(error));
    process.exit(1);
  }
  console.log(`mounted ${mountpoint} (fuse-native, /dev/fuse, libfuse 2)`);
});
