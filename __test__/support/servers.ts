/** Mirrors that other processes serve: as root, as root in a container, as an ordinary user, in a user namespace. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { MirrorOptions } from '@ringfuse/fs';
import type { ExecutionContext } from 'ava';
import type { MountOptions } from 'ringfuse';
import { directory } from './mirrors.ts';
import { mountpoint } from './mounted.ts';
import { asUser, Mounter, notRoot, noUser, noUserNamespace, scratchOf } from './mounting.ts';
import { transport } from './transports.ts';

const SERVER = fileURLToPath(new URL('mirror-server.js', import.meta.url));

/** Who serves. */
export type ServerKind = 'root' | 'root in a container' | 'an ordinary user' | 'root of a user namespace';

/** Why there can be no such server here; undefined if there can. */
export const serverMissing: Readonly<Record<ServerKind, string | undefined>> = {
  root: notRoot,
  'root in a container': notRoot,
  'an ordinary user': notRoot ?? noUser,
  'root of a user namespace': notRoot ?? noUserNamespace,
};

/** All of them. */
export const serverKinds = Object.keys(serverMissing) as readonly ServerKind[];

/** The capabilities of a container by default, and the one to mount with. */
const CONTAINER = [
  ...['chown', 'dac_override', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap', 'net_bind_service'],
  ...['net_raw', 'sys_chroot', 'mknod', 'audit_write', 'setfcap', 'sys_admin'],
];

/** What is served, and how. */
export interface Serving {
  readonly source?: string;
  readonly dir?: string;
  readonly options?: MirrorOptions;
  readonly mountOptions?: MountOptions;
  /** How many worker threads; default 0: none. */
  readonly workers?: number;
}

/** A mirror that another process serves until the test is over. */
export interface Server {
  readonly source: string;
  readonly dir: string;
  /** Resolves to what it says first: the transport, or the error. */
  readonly report: { readonly transport?: string; readonly code?: string; readonly message?: string };
  readonly pid: number;
  /** Starts a program where the mirror is, as its user. */
  readonly inside: readonly string[];
  /** Runs a shell script where the mirror is, as its user, with the mountpoint as `$1`: resolves to what it printed. */
  shell(script: string, ...args: string[]): Promise<string>;
}

const run = promisify(execFile);

/** Starts a server. A user's, and a namespace's, mount is only seen in its own mount namespace: see {@link Server.inside}. */
export async function mirrorServer(
  t: ExecutionContext,
  kind: ServerKind,
  { options = {}, mountOptions = {}, workers = 0, ...places }: Serving = {},
): Promise<Server> {
  const others = kind === 'an ordinary user' || kind === 'root of a user namespace';
  const scratch = others ? await scratchOf(t) : '';
  const source = places.source ?? (others ? join(scratch, 'home/source') : await directory(t));
  const dir = places.dir ?? (others ? join(scratch, 'home/mnt') : await mountpoint(t));
  const allowOther = others ? {} : { allowOther: true };
  const program = [
    ...[process.execPath, SERVER, source, dir, JSON.stringify(options)],
    ...[JSON.stringify({ transport, ...allowOther, ...mountOptions }), `${workers}`],
  ];
  const bounding = ['setpriv', '--bounding-set', ['-all', ...CONTAINER.map((name) => `+${name}`)].join(',')];
  const prepare = 'mkdir "$scratch/home/source"; chown nobody:nogroup "$scratch/home/source"';
  const through =
    kind === 'root of a user namespace' ? ['unshare', '--user', '--map-root-user', '--mount'] : [];
  const command = others
    ? asUser(scratch, program, { prepare, through })
    : [...(kind === 'root in a container' ? bounding : []), ...program];
  const [first, ...rest] = command;
  const mounter = new Mounter(t, first, ...rest);
  const report = await mounter.next<Server['report']>();
  const { pid } = mounter;
  const inside = {
    root: [],
    'root in a container': [],
    'an ordinary user': [
      ...['nsenter', '--target', `${pid}`, '--mount'],
      ...['setpriv', '--reuid', 'nobody', '--regid', 'nogroup', '--clear-groups'],
    ],
    'root of a user namespace': ['nsenter', '--target', `${pid}`, '--user', '--mount'],
  }[kind];
  return {
    source,
    dir,
    report,
    pid,
    inside,
    async shell(script, ...args) {
      const [program, ...more] = [...inside, 'sh', '-euc', script, 'sh', dir, ...args];
      const { stdout } = await run(program, more, { env: { ...process.env, LC_ALL: 'C' }, timeout: 60_000 });
      return stdout;
    },
  };
}
