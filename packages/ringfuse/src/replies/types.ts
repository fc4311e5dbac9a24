/**
 * File types in replies. Linux answers EIO to the caller, and says nothing to the filesystem, where a reply has no type
 * or another one than was asked for; after a GETATTR of another type the node stays unusable until it is forgotten
 * (`fuse_invalid_attr`, `fuse_make_bad` in `fs/fuse/dir.c` of Linux 6.18). Such replies are refused here.
 */

import { constants } from 'node:fs';
import { ROOT_ID } from '../generated/layout.ts';
import { wrongReply } from '../numbers.ts';

const { S_IFMT, S_IFIFO, S_IFCHR, S_IFDIR, S_IFBLK, S_IFREG, S_IFLNK, S_IFSOCK } = constants;

/** The type bits of a mode, moved down to a number below 16. */
const TYPE_SHIFT = 12;
const TYPES = 16;

const NAMES: readonly (string | undefined)[] = Array.from(
  { length: TYPES },
  (_, type) =>
    Object.entries({ S_IFIFO, S_IFCHR, S_IFDIR, S_IFBLK, S_IFREG, S_IFLNK, S_IFSOCK }).find(
      ([, bits]) => bits >>> TYPE_SHIFT === type,
    )?.[0],
);

/** A bit for each type that there is. */
const KNOWN: number = NAMES.reduce((bits, name, type) => (name === undefined ? bits : bits | (1 << type)), 0);

/** No type is asked for. */
export const ANY_TYPE = 0;

/**
 * Checks a mode's type.
 *
 * @param type `S_IF*` bits that the mode must have, or {@link ANY_TYPE}.
 */
export function checkType(mode: number, type: number): void {
  if (((KNOWN >>> ((mode & S_IFMT) >>> TYPE_SHIFT)) & 1) === 0) {
    throw wrongMode('a mode with a file type, such as S_IFREG | 0o644', mode);
  }
  if (type !== ANY_TYPE && (mode & S_IFMT) !== type) {
    throw wrongMode(`a mode of type ${NAMES[type >>> TYPE_SHIFT]}, as the node's is`, mode);
  }
}

function wrongMode(expected: string, mode: number): TypeError {
  return wrongReply(`attr.mode must be ${expected}, not 0o${mode.toString(8)}`);
}

/** Nodes whose types are remembered: a power of two. */
const REMEMBERED = 4096;

/**
 * The types that replies gave nodes, of those that were named last: a node shares its place with others. It is right
 * only where one thread answers all requests, as the reply that makes a number another file's may come from any.
 */
export class NodeTypes {
  readonly #root: number;
  readonly #inos: Float64Array | undefined;
  readonly #types: Uint16Array = new Uint16Array(REMEMBERED);

  /** `root`: the root's `S_IF*` bits, or {@link ANY_TYPE}. `sole`: whether one thread answers all requests. */
  constructor(root: number, sole: boolean) {
    this.#root = root;
    this.#inos = sole ? new Float64Array(REMEMBERED) : undefined;
  }

  /** A reply names the node: from now on the kernel knows it by this mode. */
  set(ino: number, mode: number): void {
    const at = ino & (REMEMBERED - 1);
    if (this.#inos === undefined) return;
    this.#inos[at] = ino;
    this.#types[at] = mode & S_IFMT;
  }

  /** The `S_IF*` bits that the kernel knows the node by, or {@link ANY_TYPE}. */
  get(ino: number): number {
    if (ino === ROOT_ID) return this.#root;
    const at = ino & (REMEMBERED - 1);
    return this.#inos?.[at] === ino ? this.#types[at] : ANY_TYPE;
  }
}
