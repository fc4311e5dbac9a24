/**
 * POSIX access control lists, `acl(5)`, in the form in which programs get and set them: as the extended attributes
 * `system.posix_acl_access` and `system.posix_acl_default`, laid out as `linux/posix_acl_xattr.h` has them.
 */

import { FuseError } from 'ringfuse';

/** The list that decides who may use a file. */
export const ACCESS = 'system.posix_acl_access';

/** The list of a directory that what is made in it begins with. */
export const DEFAULT = 'system.posix_acl_default';

const VERSION = 2;
const HEADER_SIZE = 4;
const ENTRY_SIZE = 8;

/** `e_tag` of an entry. */
const USER_OBJ = 0x01;
const USER = 0x02;
const GROUP_OBJ = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;

/** `e_id` of an entry that names nobody. */
const NOBODY = 0xffff_ffff;

const RWX = 7;
const WRITE = 2;

/** All that a list has in common with a mode. */
const MODE_BITS = 0o777;

interface AclEntry {
  readonly tag: number;
  readonly permissions: number;
  readonly id: number;
}

/** An access control list: valid, its entries in the order of their tags. */
export type Acl = readonly AclEntry[];

/** Whether a list lets somebody write who is not the owner, as `acl(5)` decides; `isMember` of which groups. */
export function letsWrite(acl: Acl, uid: number, gid: number, isMember: (gid: number) => boolean): boolean {
  const mask = acl.find(({ tag }) => tag === MASK)?.permissions ?? RWX;
  const user = acl.find(({ tag, id }) => tag === USER && id === uid);
  if (user !== undefined) return (user.permissions & mask & WRITE) !== 0;
  const groups = acl.filter(
    ({ tag, id }) => (tag === GROUP_OBJ && isMember(gid)) || (tag === GROUP && isMember(id)),
  );
  if (groups.length > 0) return groups.some(({ permissions }) => (permissions & mask & WRITE) !== 0);
  return acl.some(({ tag, permissions }) => tag === OTHER && (permissions & WRITE) !== 0);
}

/** Whether an extended attribute is an access control list. */
export function isAcl(name: string): boolean {
  return name === ACCESS || name === DEFAULT;
}

/** Reads a list; undefined for one without entries, which is none. EINVAL for what is no valid list. */
export function decodeAcl(value: Uint8Array): Acl | undefined {
  const bytes = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value.length < HEADER_SIZE || (value.length - HEADER_SIZE) % ENTRY_SIZE !== 0) {
    throw new FuseError('EINVAL');
  }
  if (bytes.getUint32(0, true) !== VERSION) throw new FuseError('EOPNOTSUPP');
  const acl: AclEntry[] = [];
  for (let at = HEADER_SIZE; at < value.length; at += ENTRY_SIZE) {
    acl.push({
      tag: bytes.getUint16(at, true),
      permissions: bytes.getUint16(at + 2, true),
      id: bytes.getUint32(at + 4, true),
    });
  }
  if (acl.length === 0) return undefined;
  if (!isValid(acl)) throw new FuseError('EINVAL');
  return acl;
}

/** A list as the value of an extended attribute. */
export function encodeAcl(acl: Acl): Buffer {
  const value = Buffer.alloc(HEADER_SIZE + acl.length * ENTRY_SIZE);
  value.writeUInt32LE(VERSION, 0);
  acl.forEach(({ tag, permissions, id }, index) => {
    const at = HEADER_SIZE + index * ENTRY_SIZE;
    value.writeUInt16LE(tag, at);
    value.writeUInt16LE(permissions, at + 2);
    value.writeUInt32LE(isNamed(tag) ? id : NOBODY, at + 4);
  });
  return value;
}

/** Whether a list says no more than a mode does. */
export function isMinimal(acl: Acl): boolean {
  return !acl.some(({ tag }) => isNamed(tag) || tag === MASK);
}

/** A mode with the permissions that a list gives to owner, group and others; the group's are those of the mask. */
export function withAcl(mode: number, acl: Acl): number {
  const bits = acl.reduce((all, { tag, permissions }) => {
    const shift = shiftOf(tag, acl);
    return shift === undefined ? all : all | (permissions << shift);
  }, 0);
  return (mode & ~MODE_BITS) | bits;
}

/** A list with the permissions of a mode, as `chmod(2)` changes it. */
export function withMode(acl: Acl, mode: number): Acl {
  return acl.map((entry) => {
    const shift = shiftOf(entry.tag, acl);
    return shift === undefined ? entry : { ...entry, permissions: (mode >> shift) & RWX };
  });
}

/** The list that a node begins with which is made with `mode` where the default list is `acl`. */
export function inheritAcl(acl: Acl, mode: number): Acl {
  return acl.map((entry) => {
    const shift = shiftOf(entry.tag, acl);
    return shift === undefined ? entry : { ...entry, permissions: entry.permissions & (mode >> shift) };
  });
}

function isNamed(tag: number): boolean {
  return tag === USER || tag === GROUP;
}

/** Where in a mode the permissions of an entry are: of the group, where there is a mask, the mask's. */
function shiftOf(tag: number, acl: Acl): number | undefined {
  switch (tag) {
    case USER_OBJ:
      return 6;
    case MASK:
      return 3;
    case GROUP_OBJ:
      return acl.some((entry) => entry.tag === MASK) ? undefined : 3;
    case OTHER:
      return 0;
    default:
      return undefined;
  }
}

/** As `posix_acl_valid` of the kernel: owner, users, group, groups, mask, others, and a mask if any are named. */
function isValid(acl: Acl): boolean {
  const count = (tag: number): number => acl.filter((entry) => entry.tag === tag).length;
  const masks = count(MASK);
  return (
    acl.every(
      ({ tag, permissions, id }, index) =>
        (permissions & ~RWX) === 0 &&
        (index === 0 || acl[index - 1].tag <= tag) &&
        (!isNamed(tag) || id !== NOBODY) &&
        [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER].includes(tag),
    ) &&
    [USER_OBJ, GROUP_OBJ, OTHER].every((tag) => count(tag) === 1) &&
    (masks === 1 || (masks === 0 && count(USER) + count(GROUP) === 0))
  );
}
