import type { NativeMount } from './binding.ts';
import { copyBytes, isBytes, lengthOf, ownBytes } from './bytes.ts';
import { errnoName, FuseError } from './errors.ts';
import {
  EXPIRE,
  NOTIFY,
  NOTIFY_DELETE_OUT,
  NOTIFY_INVAL_ENTRY_OUT,
  NOTIFY_INVAL_INODE_OUT,
  NOTIFY_POLL_WAKEUP_OUT,
  NOTIFY_PRUNE_OUT,
  NOTIFY_RETRIEVE_OUT,
  NOTIFY_STORE_OUT,
} from './generated/layout.ts';
import { encodeName } from './names.ts';
import { writeI64, writeU32, writeU64, wrongValue } from './numbers.ts';

const LONGEST_NAME = 255;
const ENOENT = 2;

/**
 * Ids of RETRIEVE notifications, which come back as those of requests: even, as an odd id is an interrupt's, and
 * far above what the kernel counts its own up to. They carry the number of the thread that asked.
 */
const FIRST_UNIQUE = 1n << 62n;
const THREAD = 40n;

/** The thread, by its number, that a RETRIEVE with this id came from. */
export function threadOf(unique: bigint): number {
  return Number((unique - FIRST_UNIQUE) >> THREAD);
}

interface Retrieval {
  readonly resolve: (data: Buffer | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Tells the kernel of changes that it did not make itself. All methods return promises, and a thread of their own
 * waits for the kernel, so a handler may call them at any time; it must not *await* one that concerns a file whose
 * request it is to answer first.
 *
 * A promise of `true` means that the kernel acted on it, `false` that it knows nothing of the kind: there was
 * nothing to do.
 */
export class Notifier {
  readonly #native: NativeMount;
  readonly #retrievals: Map<bigint, Retrieval> = new Map();
  #unique: bigint;
  #closed = false;

  /** @internal `thread` is the number of this thread among those that serve the mount. */
  constructor(native: NativeMount, thread: number) {
    this.#native = native;
    this.#unique = FIRST_UNIQUE | (BigInt(thread) << THREAD);
  }

  /**
   * Whoever polls the file is to ask again. The kernel does not say whether it knew the `kh`: always true.
   *
   * @param kh The `kh` of a `poll` request that asked for it (`scheduleNotify`).
   */
  async poll(kh: bigint): Promise<boolean> {
    const body = new Body(NOTIFY_POLL_WAKEUP_OUT.SIZE);
    writeU64(body.view, NOTIFY_POLL_WAKEUP_OUT.kh, kh, 'kh');
    return this.#send(NOTIFY.POLL, body);
  }

  /**
   * Drops what the kernel caches of a node: its attributes, and its pages from `offset` on.
   *
   * @param ino The node.
   * @param offset First byte. Negative: drop the attributes only. Default 0.
   * @param length Number of bytes; 0, the default: to the end.
   */
  async invalInode(ino: number, offset = 0, length = 0): Promise<boolean> {
    const body = new Body(NOTIFY_INVAL_INODE_OUT.SIZE);
    writeU64(body.view, NOTIFY_INVAL_INODE_OUT.ino, ino, 'ino');
    writeI64(body.view, NOTIFY_INVAL_INODE_OUT.off, offset, 'offset');
    writeI64(body.view, NOTIFY_INVAL_INODE_OUT.len, length, 'length');
    return this.#send(NOTIFY.INVAL_INODE, body);
  }

  /** Drops a cached name, and what is mounted below it. */
  async invalEntry(parent: number, name: string | Uint8Array): Promise<boolean> {
    return this.#entry(parent, name, 0);
  }

  /** Lets a cached name be looked up again before it is next used. Linux 6.2. */
  async expireEntry(parent: number, name: string | Uint8Array): Promise<boolean> {
    return this.#entry(parent, name, EXPIRE.ONLY);
  }

  /** The name of `child` was removed from `parent`: drops it, and tells whoever watches (`inotify(7)`). */
  async delete(parent: number, child: number, name: string | Uint8Array): Promise<boolean> {
    const bytes = nameBytes(name);
    const body = new Body(NOTIFY_DELETE_OUT.SIZE, bytes, NUL);
    writeU64(body.view, NOTIFY_DELETE_OUT.parent, parent, 'parent');
    writeU64(body.view, NOTIFY_DELETE_OUT.child, child, 'child');
    writeU32(body.view, NOTIFY_DELETE_OUT.namelen, bytes.byteLength, 'name');
    return this.#send(NOTIFY.DELETE, body);
  }

  /**
   * Puts bytes into the kernel's cache of a node. Bytes behind the node's size make the kernel ask for its attributes.
   *
   * @param ino The node.
   * @param offset Where the bytes begin.
   * @param data The bytes.
   */
  async store(ino: number, offset: number, data: Uint8Array): Promise<boolean> {
    if (!isBytes(data)) throw wrongValue('data', 'a Uint8Array', data);
    const length = lengthOf(data);
    const body = new Body(NOTIFY_STORE_OUT.SIZE, data);
    writeU64(body.view, NOTIFY_STORE_OUT.nodeid, ino, 'ino');
    writeU64(body.view, NOTIFY_STORE_OUT.offset, offset, 'offset');
    writeU32(body.view, NOTIFY_STORE_OUT.size, length, 'data.byteLength');
    return this.#send(NOTIFY.STORE, body);
  }

  /**
   * Asks for bytes of the kernel's cache of a node.
   *
   * @param ino The node.
   * @param offset Where the bytes begin.
   * @param size How many are wanted.
   * @returns The bytes that are cached from `offset` on without a gap, at most `size`; undefined if the kernel does
   * not know the node.
   */
  async retrieve(ino: number, offset: number, size: number): Promise<Buffer | undefined> {
    this.#unique += 2n;
    const unique = this.#unique;
    const body = new Body(NOTIFY_RETRIEVE_OUT.SIZE);
    writeU64(body.view, NOTIFY_RETRIEVE_OUT.notify_unique, unique, 'unique');
    writeU64(body.view, NOTIFY_RETRIEVE_OUT.nodeid, ino, 'ino');
    writeU64(body.view, NOTIFY_RETRIEVE_OUT.offset, offset, 'offset');
    writeU32(body.view, NOTIFY_RETRIEVE_OUT.size, size, 'size');
    const data = new Promise<Buffer | undefined>((resolve, reject) => {
      this.#retrievals.set(unique, { resolve, reject });
    });
    // Without a handler of its own the promise would count as unhandled if the mount ends during the next await.
    data.catch(() => undefined);
    if (await this.#send(NOTIFY.RETRIEVE, body)) return data;
    this.#retrievals.delete(unique);
    return undefined;
  }

  /**
   * Lets the kernel send all requests again that were read from /dev/fuse and not answered; it leaves those of the
   * ring alone. A request that a handler still holds is not handed out twice: its reply is the answer. Linux 6.9.
   */
  resend(): Promise<boolean> {
    return this.#send(NOTIFY.RESEND, new Body(0));
  }

  /** Lets all cached names be looked up again before they are next used. Linux 6.16. */
  incEpoch(): Promise<boolean> {
    return this.#send(NOTIFY.INC_EPOCH, new Body(0));
  }

  /** Asks the kernel to forget nodes that nothing uses. Linux 6.18. */
  async prune(inos: readonly number[]): Promise<boolean> {
    if (!Array.isArray(inos)) throw wrongValue('inos', 'an array of node numbers', inos);
    const list = new Body(inos.length * 8);
    for (const [index, ino] of inos.entries()) writeU64(list.view, index * 8, ino, `inos[${index}]`);
    const body = new Body(NOTIFY_PRUNE_OUT.SIZE, list.bytes);
    writeU32(body.view, NOTIFY_PRUNE_OUT.count, inos.length, 'inos.length');
    return this.#send(NOTIFY.PRUNE, body);
  }

  /** @internal The kernel's answer to a RETRIEVE; false if another thread asked. */
  retrieved(unique: bigint, data: Buffer): boolean {
    this.#retrievals.get(unique)?.resolve(data);
    return this.#retrievals.delete(unique);
  }

  /** @internal The mount ended: nothing comes any more. */
  close(): void {
    this.#closed = true;
    for (const { reject } of this.#retrievals.values()) reject(ended());
    this.#retrievals.clear();
  }

  #entry(parent: number, name: string | Uint8Array, flags: number): Promise<boolean> {
    const bytes = nameBytes(name);
    const body = new Body(NOTIFY_INVAL_ENTRY_OUT.SIZE, bytes, NUL);
    writeU64(body.view, NOTIFY_INVAL_ENTRY_OUT.parent, parent, 'parent');
    writeU32(body.view, NOTIFY_INVAL_ENTRY_OUT.namelen, bytes.byteLength, 'name');
    writeU32(body.view, NOTIFY_INVAL_ENTRY_OUT.flags, flags, 'flags');
    return this.#send(NOTIFY.INVAL_ENTRY, body);
  }

  async #send(code: number, { bytes }: Body): Promise<boolean> {
    if (this.#closed) throw ended();
    const errno = await this.#native.notify(code, bytes);
    if (errno === 0 || errno === ENOENT) return errno === 0;
    const name = errnoName(errno);
    if (name === 'ENODEV' || name === 'ENOTCONN' || name === 'ECONNABORTED') throw ended();
    throw new FuseError(name, `notify: the kernel refused it: ${name}`, { errno: -errno, syscall: 'write' });
  }
}

const NUL = new Uint8Array(1);

/** The bytes of a notification: a struct, and what follows it. */
class Body {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(size: number, ...parts: Uint8Array[]) {
    const lengths = parts.map(lengthOf);
    this.bytes = new Uint8Array(lengths.reduce((total, length) => total + length, size));
    this.view = new DataView(this.bytes.buffer);
    let at = size;
    for (const [index, part] of parts.entries()) {
      copyBytes(this.bytes, part, at);
      at += lengths[index];
    }
  }
}

function nameBytes(name: string | Uint8Array): Uint8Array {
  const bytes = typeof name === 'string' ? encodeName(name) : isBytes(name) ? ownBytes(name) : undefined;
  if (
    bytes === undefined ||
    bytes.length === 0 ||
    bytes.length > LONGEST_NAME ||
    bytes.includes(0) ||
    bytes.includes(0x2f)
  ) {
    throw new TypeError(`notify: name must be 1 to ${LONGEST_NAME} bytes without / and NUL`);
  }
  return bytes;
}

function ended(): FuseError {
  return new FuseError('ERR_RINGFUSE_CLOSED', 'notify: the mount has ended');
}
