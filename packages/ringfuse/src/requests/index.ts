/** Every operation of the protocol that reaches a filesystem: the one table of name, opcode and type. */

import { OPCODE } from '../generated/layout.ts';
import type { FuseRequest } from '../request.ts';
import type { Slot } from '../slot.ts';
import { BmapRequest, IoctlRequest, PollRequest } from './devices.ts';
import { OpendirRequest, ReaddirplusRequest, ReaddirRequest } from './directories.ts';
import {
  LinkRequest,
  LookupRequest,
  MkdirRequest,
  MknodRequest,
  Rename2Request,
  RenameRequest,
  RmdirRequest,
  SymlinkRequest,
  UnlinkRequest,
} from './entries.ts';
import {
  CopyFileRangeRequest,
  CreateRequest,
  FallocateRequest,
  FlushRequest,
  FsyncdirRequest,
  FsyncRequest,
  LseekRequest,
  OpenRequest,
  ReadRequest,
  ReleasedirRequest,
  ReleaseRequest,
  TmpfileRequest,
  WriteRequest,
} from './files.ts';
import { GetlkRequest, SetlkRequest, SetlkwRequest } from './locks.ts';
import {
  AccessRequest,
  DestroyRequest,
  ForgetRequest,
  GetattrRequest,
  ReadlinkRequest,
  SetattrRequest,
  StatfsRequest,
  StatxRequest,
  SyncfsRequest,
} from './nodes.ts';
import { GetxattrRequest, ListxattrRequest, RemovexattrRequest, SetxattrRequest } from './xattrs.ts';

/** The request type of each operation. */
export interface Requests {
  lookup: LookupRequest;
  forget: ForgetRequest;
  getattr: GetattrRequest;
  setattr: SetattrRequest;
  readlink: ReadlinkRequest;
  symlink: SymlinkRequest;
  mknod: MknodRequest;
  mkdir: MkdirRequest;
  unlink: UnlinkRequest;
  rmdir: RmdirRequest;
  rename: RenameRequest;
  rename2: Rename2Request;
  link: LinkRequest;
  open: OpenRequest;
  read: ReadRequest;
  write: WriteRequest;
  statfs: StatfsRequest;
  release: ReleaseRequest;
  fsync: FsyncRequest;
  flush: FlushRequest;
  setxattr: SetxattrRequest;
  getxattr: GetxattrRequest;
  listxattr: ListxattrRequest;
  removexattr: RemovexattrRequest;
  opendir: OpendirRequest;
  readdir: ReaddirRequest;
  readdirplus: ReaddirplusRequest;
  releasedir: ReleasedirRequest;
  fsyncdir: FsyncdirRequest;
  create: CreateRequest;
  access: AccessRequest;
  lseek: LseekRequest;
  fallocate: FallocateRequest;
  getlk: GetlkRequest;
  setlk: SetlkRequest;
  setlkw: SetlkwRequest;
  bmap: BmapRequest;
  ioctl: IoctlRequest;
  poll: PollRequest;
  copy_file_range: CopyFileRangeRequest;
  syncfs: SyncfsRequest;
  tmpfile: TmpfileRequest;
  statx: StatxRequest;
  destroy: DestroyRequest;
}

/** The name of an operation, as the protocol has it in lower case. */
export type Operation = keyof Requests;

/** Any request: a union told apart by `op`. */
export type Request = Requests[Operation];

/** What the request of operation `Op` is answered with. */
export type Reply<Op extends Operation> = Requests[Op] extends FuseRequest<infer R> ? R : never;

type Constructor = new (slot: Slot) => Request;

const constructors: { [Op in Operation]: new (slot: Slot) => Requests[Op] } = {
  lookup: LookupRequest,
  forget: ForgetRequest,
  getattr: GetattrRequest,
  setattr: SetattrRequest,
  readlink: ReadlinkRequest,
  symlink: SymlinkRequest,
  mknod: MknodRequest,
  mkdir: MkdirRequest,
  unlink: UnlinkRequest,
  rmdir: RmdirRequest,
  rename: RenameRequest,
  rename2: Rename2Request,
  link: LinkRequest,
  open: OpenRequest,
  read: ReadRequest,
  write: WriteRequest,
  statfs: StatfsRequest,
  release: ReleaseRequest,
  fsync: FsyncRequest,
  flush: FlushRequest,
  setxattr: SetxattrRequest,
  getxattr: GetxattrRequest,
  listxattr: ListxattrRequest,
  removexattr: RemovexattrRequest,
  opendir: OpendirRequest,
  readdir: ReaddirRequest,
  readdirplus: ReaddirplusRequest,
  releasedir: ReleasedirRequest,
  fsyncdir: FsyncdirRequest,
  create: CreateRequest,
  access: AccessRequest,
  lseek: LseekRequest,
  fallocate: FallocateRequest,
  getlk: GetlkRequest,
  setlk: SetlkRequest,
  setlkw: SetlkwRequest,
  bmap: BmapRequest,
  ioctl: IoctlRequest,
  poll: PollRequest,
  copy_file_range: CopyFileRangeRequest,
  syncfs: SyncfsRequest,
  tmpfile: TmpfileRequest,
  statx: StatxRequest,
  destroy: DestroyRequest,
};

/** The names of all operations. */
export const operations: readonly Operation[] = Object.keys(constructors) as Operation[];

/** Opcode → request class; undefined where the opcode is answered with ENOSYS. */
const byOpcode: (Constructor | undefined)[] = [];

for (const op of operations) {
  const type: Constructor = constructors[op];
  Object.defineProperty(type.prototype, 'op', { value: op, enumerable: true });
  byOpcode[OPCODE[op.toUpperCase() as keyof typeof OPCODE]] = type;
}
byOpcode[OPCODE.BATCH_FORGET] = ForgetRequest;
byOpcode[OPCODE.COPY_FILE_RANGE_64] = CopyFileRangeRequest;

/** Makes the typed request of a slot that the native side has filled and validated; undefined: no such operation. */
export function makeRequest(slot: Slot): Request | undefined {
  const Type = byOpcode[slot.opcode];
  return Type && new Type(slot);
}
