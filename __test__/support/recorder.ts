/** A small tree whose handlers record what they are asked and reply from a table. */

import type { ExecutionContext } from 'ava';
import {
  type Attributes,
  FuseError,
  type FuseRequest,
  type Handlers,
  type MountOptions,
  type Operation,
  operations,
  type Request,
  type Transport,
} from 'ringfuse';
import { type Mounted, mounted } from './mounted.ts';

/** The nodes of the tree; each but the root is in the root, by the name that it has here. */
export const NODES = { root: 1, dir: 2, file: 3, link: 4, other: 5, made: 6 } as const;

/** The contents of `file` and `other`. */
export const CONTENTS: Buffer = Buffer.from('0123456789abcdef');

/** The handle of every open file and directory. */
export const HANDLE = 77;

/** A request as it was seen: its fields, and copies of its data. */
export type Recorded = Readonly<Record<string, unknown>> & { readonly op: Operation };

/** Every field that the operation's type adds, by value; bytes as text, for which a request has but their number. */
export function fieldsOf(request: Request): Recorded {
  const { uid, gid, pid, securityContexts, supplementaryGroups, ...fields } = request.toJSON();
  if ('data' in request) fields.data = request.data.toString('latin1');
  if ('value' in request) fields.value = request.value.toString('latin1');
  return fields as Recorded;
}

/** The attributes of a node of the tree. */
export function attributesOf(ino: number): Attributes {
  if (ino === NODES.root || ino === NODES.dir) return { mode: 0o40755, nlink: 2 };
  if (ino === NODES.link) return { mode: 0o120777, size: 4 };
  return { mode: 0o100644, size: CONTENTS.length };
}

/** The replies of the tree where a test has none of its own. */
const replies: Handlers = {
  lookup({ name }) {
    const ino = name in NODES && name !== 'root' && name !== 'made' ? NODES[name as keyof typeof NODES] : 0;
    return ino === 0 ? null : { ino, attr: attributesOf(ino) };
  },
  getattr: ({ ino }) => ({ attr: attributesOf(ino) }),
  setattr: ({ ino }) => ({ attr: attributesOf(ino) }),
  readlink: () => 'file',
  open: () => ({ fh: HANDLE }),
  opendir: () => ({ fh: HANDLE }),
  read: ({ offset, size }) => CONTENTS.subarray(offset, offset + size),
  write: ({ size }) => size,
  readdir: ({ offset }) =>
    Object.entries(NODES)
      .filter(([name]) => name !== 'root' && name !== 'made')
      .map(([name, ino], index) => ({ name, ino, offset: index + 1, mode: attributesOf(ino).mode }))
      .slice(offset),
  statfs: () => ({ blocks: 100, bfree: 50, bavail: 40, files: 30, ffree: 20 }),
  access: () => undefined,
  flush: () => undefined,
  fsync: () => undefined,
  fsyncdir: () => undefined,
  release: () => undefined,
  releasedir: () => undefined,
  forget: () => undefined,
  destroy: () => undefined,
};

/** Records requests. */
export class Recorder {
  readonly handlers: Handlers;
  #requests: { readonly request: FuseRequest<unknown>; readonly fields: Recorded }[] = [];
  #notice: () => void = () => undefined;

  /** `own` are replies of the test's. */
  constructor(own: Handlers = {}) {
    const table = { ...replies, ...own } as Record<string, ((request: Request) => unknown) | undefined>;
    const handlers: Record<string, (request: Request) => unknown> = {};
    for (const op of operations) {
      const handler = table[op];
      handlers[op] = (request) => {
        this.#requests.push({ request: request as FuseRequest<unknown>, fields: fieldsOf(request) });
        this.#notice();
        if (handler === undefined) throw new FuseError('ENOSYS');
        return handler(request);
      };
    }
    this.handlers = handlers as Handlers;
  }

  /** The fields of the requests of one operation, in their order. */
  of(op: Operation): Recorded[] {
    return this.#requests.map(({ fields }) => fields).filter((fields) => fields.op === op);
  }

  /** Who made the requests of one operation. */
  callers(op: Operation): { uid: number; gid: number; pid: number }[] {
    return this.#requests
      .filter(({ fields }) => fields.op === op)
      .map(({ request: { uid, gid, pid } }) => ({ uid, gid, pid }));
  }

  /** Resolves when there were `count` requests of an operation, to the last of them. */
  async until(op: Operation, count = 1): Promise<Recorded> {
    for (;;) {
      const found = this.of(op);
      if (found.length >= count) return found[count - 1];
      await new Promise<void>((resolve) => {
        this.#notice = resolve;
      });
    }
  }

  /** Forgets what was recorded. */
  clear(): void {
    this.#requests = [];
  }
}

/** A mounted recorder. */
export interface Recording extends Mounted {
  readonly recorder: Recorder;
  of(op: Operation): Recorded[];
}

/** Mounts a recorder until the test is over. */
export async function recording(
  t: ExecutionContext,
  transport: Transport,
  own: Handlers = {},
  options: MountOptions = {},
): Promise<Recording> {
  const recorder = new Recorder(own);
  const mount = await mounted(t, recorder.handlers, { transport, ...options });
  return { ...mount, recorder, of: (op) => recorder.of(op) };
}
