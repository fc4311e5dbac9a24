/** The program `mounter.js` in a process of its own: as this user, as an ordinary user, in namespaces. */

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { type Agreement, type Maker, type MountOptions, probeFusermount, type Transport } from 'ringfuse';
import { PREFIX } from './mounted.ts';

/** The program itself. */
export const MOUNTER: string = fileURLToPath(new URL('mounter.js', import.meta.url));

const isRoot = process.getuid?.() === 0;

/** What the program says first. */
export interface Report {
  readonly pid: number;
  readonly maker: Maker;
  readonly transport: Transport;
  readonly agreement: Agreement;
  readonly path: string;
  readonly mounts: readonly MountLine[];
  readonly error?: {
    readonly code: string;
    readonly errno: number;
    readonly syscall: string;
    readonly message: string;
  };
}

/** A mount as /proc/self/mountinfo shows it. */
export interface MountLine {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** What a program that the mounter ran printed. */
export interface Ran {
  readonly failed: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** A mounter that runs. It ends with the test. */
export class Mounter {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly ended: Promise<void>;
  #errors = '';

  constructor(t: ExecutionContext, command: string, ...args: string[]) {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    this.ended = once(child, 'close').then(() => undefined);
    t.teardown(async () => {
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await this.ended;
      clearTimeout(timer);
    });
  }

  /** Its process id. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it says next. */
  async next<T = Report>(): Promise<T> {
    const { value } = await this.#lines.next();
    if (value === undefined) throw new Error(`the program ended: ${this.#errors}`);
    return JSON.parse(value) as T;
  }

  /** Sends a line to whoever reads it. */
  send(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Gives a command that has no answer. */
  tell(...command: readonly string[]): void {
    this.send(JSON.stringify(command));
  }

  /** Gives a command and resolves to its answer. */
  ask<T>(...command: readonly string[]): Promise<T> {
    this.tell(...command);
    return this.next<T>();
  }

  /** Runs a program in the mounter's namespaces, as its user. */
  run(command: string, ...args: string[]): Promise<Ran> {
    return this.ask<Ran>('run', command, ...args);
  }

  /** Lets it end by itself. */
  end(): void {
    this.#child.stdin?.end();
  }
}

/** How an ordinary user's surroundings are to be. As root they are made for the one program, and nothing remains. */
export interface Surroundings {
  /** What /etc/fuse.conf says. */
  readonly fuseConf?: string;
  /** Shell commands, run as root; `$scratch` is a directory of the user's. */
  readonly prepare?: string;
  /** Commands that start the rest, each with the next as its arguments. */
  readonly through?: readonly string[];
}

/**
 * Run by root in a mount namespace of its own: /dev/fuse is everybody's, as udev makes it, and the user has a home
 * with a mountpoint in it.
 */
const PREPARE = `
mount -t tmpfs -o mode=0755 none "$scratch"
mkdir "$scratch/home" "$scratch/home/mnt"
mknod "$scratch/fuse" c 10 229
chmod 0666 "$scratch/fuse"
mount --bind "$scratch/fuse" /dev/fuse
if [ -e /etc/fuse.conf ]; then
  printf '%s\\n' "$conf" > "$scratch/fuse.conf"
  mount --bind "$scratch/fuse.conf" /etc/fuse.conf
fi
chown -R nobody "$scratch/home"
`;

/** Starts a program as an ordinary user. */
export const AS_NOBODY: readonly string[] = [
  'setpriv',
  '--reuid',
  'nobody',
  '--regid',
  'nogroup',
  '--clear-groups',
];

/** The command line that runs a program as an ordinary user, and that user's mountpoint below `scratch`. */
export function asUser(
  scratch: string,
  command: readonly string[],
  { fuseConf = '', prepare = '', through = [] }: Surroundings = {},
): [command: string, ...args: string[]] {
  const program = [`HOME=${scratch}/home`, ...through, ...command];
  if (!isRoot) return ['env', ...program];
  const script = `scratch=$1; conf=$2; shift 2\n${PREPARE}\n${prepare}\ncd "$scratch/home"\nexec "$@"`;
  const prepared = ['--mount', 'sh', '-euc', script, 'sh', scratch, fuseConf];
  return ['unshare', ...prepared, ...AS_NOBODY, 'env', ...program];
}

// What the witness of this run writes is written by ordinary users too.
const { RINGFUSE_TEST_TRANSPORT: transport } = process.env;
if (isRoot && transport !== undefined) {
  const testimonies = fileURLToPath(new URL(`../../transports/${transport}.jsonl`, import.meta.url));
  appendFileSync(testimonies, '');
  chmodSync(testimonies, 0o666);
}

/** A directory for {@link asUser}, gone after the test. */
export async function scratchOf(t: ExecutionContext): Promise<string> {
  const scratch = await mkdtemp(`${PREFIX}user-`);
  if (!isRoot) mkdirSync(join(scratch, 'home/mnt'), { recursive: true });
  t.teardown(() => rm(scratch, { recursive: true, force: true }));
  return scratch;
}

/** An ordinary user's mountpoint. */
export function userMountpoint(scratch: string): string {
  return join(scratch, 'home/mnt');
}

/** Starts the mounter as an ordinary user, on that user's mountpoint unless another is given. */
export async function userMounter(
  t: ExecutionContext,
  options: MountOptions,
  surroundings?: Surroundings,
  mountpoint?: (scratch: string) => string,
): Promise<{ mounter: Mounter; dir: string; scratch: string }> {
  const scratch = await scratchOf(t);
  const dir = (mountpoint ?? userMountpoint)(scratch);
  const command = [process.execPath, MOUNTER, dir, JSON.stringify(options)];
  return { mounter: new Mounter(t, ...asUser(scratch, command, surroundings)), dir, scratch };
}

/** Runs a shell script as an ordinary user; resolves to what it printed. `$1` is the mountpoint, `$2` node. */
export async function userShell(
  t: ExecutionContext,
  script: string,
  surroundings?: Surroundings,
): Promise<string> {
  const scratch = await scratchOf(t);
  const args = ['sh', '-euc', script, 'sh', userMountpoint(scratch), process.execPath, MOUNTER];
  const [command, ...rest] = asUser(scratch, args, surroundings);
  return new Promise((resolve, reject) => {
    execFile(command, rest, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(`${error.message}: ${stderr}`)),
    );
  });
}

function failure(command: string, ...args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) return `${command} cannot be run`;
  return status === 0 ? undefined : stderr.trim().split('\n')[0] || `${command} failed`;
}

/** Why nothing can be tried as an ordinary user; undefined if it can. */
export const noUser: string | undefined = isRoot
  ? (failure('fusermount3', '--version') ??
    failure('unshare', '--mount', ...AS_NOBODY, process.execPath, '--check', MOUNTER))
  : (failure('fusermount3', '--version') ??
    failure(process.execPath, '-e', "fs.closeSync(fs.openSync('/dev/fuse', 'r+'))"));

/** Why nothing can be tried in a user namespace; undefined if it can. */
export const noUserNamespace: string | undefined =
  noUser ?? failure(...asNobody('unshare', '--user', '--map-root-user', '--mount', 'true'));

function asNobody(...command: string[]): [command: string, ...args: string[]] {
  const [first, ...rest] = [...(isRoot ? AS_NOBODY : []), ...command];
  return [first, ...rest];
}

/** Why only root can try something; undefined for root. */
export const notRoot: string | undefined = isRoot ? undefined : 'only root can prepare it';

const helper = noUser === undefined ? probeFusermount() : undefined;
const [, minor = '15'] = /^3\.(\d+)/.exec(helper?.found ?? '') ?? [];

/** Why the limits of fusermount3 before 3.15 cannot be seen; undefined if that is the one here. */
export const newFusermount: string | undefined =
  Number(minor) < 15 ? undefined : 'fusermount3 is of version 3.15 or later';
