/** What all requests share that make something in a directory. */

import { EXT_GROUPS, EXT_HEADER, MAX_NR_SECCTX, SECCTX, SUPP_GROUPS } from '../generated/layout.ts';
import { NamedRequest } from '../request.ts';

/** A label that a security module wants the new node to have: an extended attribute. */
export interface SecurityContext {
  /** The attribute's name: `security.selinux`. */
  readonly name: string;
  readonly value: Buffer;
}

const ALIGNMENT = 8;

/** A request on an entry of the directory `parent`. */
export abstract class ChildRequest<Reply> extends NamedRequest<Reply> {
  /** The directory. */
  get parent(): number {
    return this.nodeid;
  }
}

/** A request that makes a node. */
export abstract class CreationRequest<Reply> extends ChildRequest<Reply> {
  /** Labels for the new node; with `SECURITY_CTX` only. A copy, to be read before the reply. */
  get securityContexts(): SecurityContext[] {
    const contexts: SecurityContext[] = [];
    for (const { type, body } of this.#extensions()) {
      if (type > MAX_NR_SECCTX) continue;
      for (let at = 0; contexts.length < type; ) {
        const size = body.readUInt32LE(at + SECCTX.size);
        const name = at + SECCTX.SIZE;
        const value = body.indexOf(0, name) + 1;
        contexts.push({
          name: body.toString('utf8', name, value - 1),
          value: Buffer.from(body.subarray(value, value + size)),
        });
        at = Math.ceil((value + size) / ALIGNMENT) * ALIGNMENT;
      }
    }
    return contexts;
  }

  /**
   * The one supplementary group of the caller that matters: that of `parent`, if the caller is in it; with
   * `CREATE_SUPP_GROUP` only. To be read before the reply.
   */
  get supplementaryGroups(): number[] {
    for (const { type, body } of this.#extensions()) {
      if (type !== EXT_GROUPS) continue;
      const count = body.readUInt32LE(SUPP_GROUPS.nr_groups);
      return Array.from({ length: count }, (_, index) => body.readUInt32LE(SUPP_GROUPS.SIZE + index * 4));
    }
    return [];
  }

  *#extensions(): Generator<{ type: number; body: Buffer }> {
    const bytes = this.live().extensions();
    for (let at = 0; at < bytes.length; ) {
      const size = bytes.readUInt32LE(at + EXT_HEADER.size);
      yield {
        type: bytes.readUInt32LE(at + EXT_HEADER.type),
        body: bytes.subarray(at + EXT_HEADER.SIZE, at + size),
      };
      at += Math.max(size, EXT_HEADER.SIZE);
    }
  }
}
