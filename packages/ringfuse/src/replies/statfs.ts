import type { StatfsReply } from '../attributes.ts';
import { KSTATFS, STATFS_OUT } from '../generated/layout.ts';
import { writeU32, writeU64, wrongValue } from '../numbers.ts';
import type { Slot } from '../slot.ts';

/** What libfuse answers for a filesystem without figures, so that `df` and `stat -f` work on every mount. */
export const NO_FIGURES: StatfsReply = { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, bsize: 512 };

/** Writes the reply to `statfs`, a `struct fuse_statfs_out`. */
export function writeStatfs(slot: Slot, reply: StatfsReply): number {
  if (typeof reply !== 'object' || reply === null) throw wrongValue('value', 'an object', reply);
  const { view } = slot;
  const { bsize = 4096, frsize = bsize, namelen = 255 } = reply;
  slot.payload.fill(0, 0, STATFS_OUT.SIZE);
  writeU64(view, KSTATFS.blocks, reply.blocks, 'blocks');
  writeU64(view, KSTATFS.bfree, reply.bfree, 'bfree');
  writeU64(view, KSTATFS.bavail, reply.bavail, 'bavail');
  writeU64(view, KSTATFS.files, reply.files, 'files');
  writeU64(view, KSTATFS.ffree, reply.ffree, 'ffree');
  writeU32(view, KSTATFS.bsize, bsize, 'bsize');
  writeU32(view, KSTATFS.frsize, frsize, 'frsize');
  writeU32(view, KSTATFS.namelen, namelen, 'namelen');
  return STATFS_OUT.SIZE;
}
