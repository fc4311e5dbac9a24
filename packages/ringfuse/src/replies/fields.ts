/** Fields of replies that no reply has: found while a filesystem is developed. */

import type { FuseRequest } from '../request.ts';
import type { Operation } from '../requests/index.ts';

const ATTRIBUTES: ReadonlySet<string> = new Set([
  ...['mode', 'size', 'blocks', 'nlink', 'uid', 'gid', 'rdev', 'blksize', 'ino', 'atime', 'mtime', 'ctime'],
  ...['birthtime', 'attributes', 'attributesMask'],
  // What a copy of an `fs.Stats` or `fs.BigIntStats` has beside.
  'dev',
  ...['atime', 'mtime', 'ctime', 'birthtime'].flatMap((time) => [`${time}Ms`, `${time}Ns`]),
]);

const attributes = ['attr', 'attrTimeout'];
const entry = [...attributes, 'ino', 'generation', 'entryTimeout'];
const open = ['fh', 'openFlags', 'backingId'];

/** The fields of each operation's reply, where that is an object. */
const FIELDS: { readonly [Op in Operation]?: readonly string[] } = {
  lookup: entry,
  getattr: attributes,
  setattr: attributes,
  statx: attributes,
  mknod: entry,
  mkdir: entry,
  symlink: entry,
  link: entry,
  create: [...entry, ...open],
  tmpfile: [...entry, ...open],
  open,
  opendir: open,
  statfs: ['blocks', 'bfree', 'bavail', 'files', 'ffree', 'bsize', 'frsize', 'namelen'],
  ioctl: ['result', 'data'],
  getlk: ['start', 'end', 'type', 'pid'],
};

/** Replies of each operation that are checked: a filesystem's handlers make few shapes, and soon all of them. */
const CHECKED = 256;

/** An operation's fields, and how many replies are still to be checked. */
interface Known {
  readonly fields: ReadonlySet<string>;
  left: number;
}

/**
 * Reports each unknown field once. It refuses nothing: an object that has more is a reply all the same. Objects of
 * classes are left alone, as they have fields of their own.
 */
export class FieldCheck {
  readonly #report: (error: TypeError, request: FuseRequest<unknown>) => void;
  readonly #known: Map<string, Known>;
  readonly #reported: Set<string> = new Set();

  constructor(report: (error: TypeError, request: FuseRequest<unknown>) => void) {
    this.#report = report;
    this.#known = new Map(
      Object.entries(FIELDS).map(([op, fields]) => [op, { fields: new Set(fields), left: CHECKED }]),
    );
  }

  /** Looks at a reply, before it is written. */
  check(request: FuseRequest<unknown>, reply: unknown): void {
    const known = this.#known.get(request.op);
    if (known === undefined) return;
    known.left -= 1;
    if (known.left === 0) this.#known.delete(request.op);
    if (!isPlain(reply)) return;
    this.#look(request, reply, known.fields, '');
    if (isPlain(reply.attr)) this.#look(request, reply.attr, ATTRIBUTES, 'attr.');
  }

  #look(
    request: FuseRequest<unknown>,
    value: Record<string, unknown>,
    fields: ReadonlySet<string>,
    path: string,
  ): void {
    for (const field of Object.keys(value)) {
      const what = `${request.op} reply: ${path}${field}`;
      if (fields.has(field) || this.#reported.has(what)) continue;
      this.#reported.add(what);
      this.#report(new TypeError(`${what} is no field; there are ${[...fields].join(', ')}`), request);
    }
  }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
