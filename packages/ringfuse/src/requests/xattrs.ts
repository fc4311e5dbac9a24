/** Requests on extended attributes, `xattr(7)`: their names have a namespace, `user.comment`. */

import { GETXATTR_IN, SETXATTR_IN } from '../generated/layout.ts';
import { writeXattr, writeXattrNames } from '../replies/xattrs.ts';
import { ARGUMENTS, NamedRequest, NodeRequest } from '../request.ts';
import type { Slot } from '../slot.ts';

/** A request on one extended attribute of the node `ino`. */
abstract class XattrRequest<Reply> extends NamedRequest<Reply> {
  /** The node. */
  get ino(): number {
    return this.nodeid;
  }
}

/** Set the extended attribute `name` to {@link SetxattrRequest.value}. */
export class SetxattrRequest extends XattrRequest<void> {
  declare readonly op: 'setxattr';
  /** `XATTR_CREATE` (1): fail with `EEXIST` if it is there; `XATTR_REPLACE` (2): `ENODATA` if it is not. */
  readonly flags: number;
  /**
   * `SETXATTR.*` flags: bit 0, `ACL_KILL_SGID`, says that the set-group-ID bit is to go with this access control list.
   * Linux before 5.12 never says so.
   */
  readonly setxattrFlags: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    const { header } = slot;
    this.flags = header.getUint32(ARGUMENTS + SETXATTR_IN.flags, true);
    this.setxattrFlags = slot.hasSetxattrFlags
      ? header.getUint32(ARGUMENTS + SETXATTR_IN.setxattr_flags, true)
      : 0;
  }

  /** The value in the kernel's transfer memory, not a copy: valid until the reply. */
  get value(): Buffer {
    return this.live().lendData();
  }
}

/** The value of the extended attribute `name`, or `null` (ENODATA): the kernel asks for some of every file. */
export class GetxattrRequest extends XattrRequest<Uint8Array | string | null> {
  declare readonly op: 'getxattr';
  /** Bytes that the caller has room for; 0 asks how many are needed, which follows from the same reply. */
  readonly size: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.size = slot.header.getUint32(ARGUMENTS + GETXATTR_IN.size, true);
  }

  /** @internal */
  override encode(reply: Uint8Array | string | null): number {
    return writeXattr(this.live(), reply, this.size);
  }
}

/** The names of the extended attributes. */
export class ListxattrRequest extends NodeRequest<Iterable<string>> {
  declare readonly op: 'listxattr';
  /** Bytes that the caller has room for; 0 asks how many are needed, which follows from the same reply. */
  readonly size: number;

  /** @internal */
  constructor(slot: Slot) {
    super(slot);
    this.size = slot.header.getUint32(ARGUMENTS + GETXATTR_IN.size, true);
  }

  /** @internal */
  override encode(reply: Iterable<string>): number {
    return writeXattrNames(this.live(), reply, this.size);
  }
}

/** Remove the extended attribute `name`. Fail with `ENODATA` if there is none. */
export class RemovexattrRequest extends XattrRequest<void> {
  declare readonly op: 'removexattr';
}
