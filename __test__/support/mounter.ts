/**
 * A program that mounts the sandbox as it is told and reports: `mounter.js PATH OPTIONS`, the options as JSON. It
 * prints a line of JSON once it has mounted, or failed to; then it answers a line for each command on standard input,
 * `["NAME", …]`, and closes the mount when there are no more.
 */

import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type FuseRequest, mount, serve } from 'ringfuse';
import { inoOf, sandbox, UNCACHED } from './sandbox.ts';

const [path, options] = process.argv.slice(2);
const callers: { uid: number; gid: number; pid: number }[] = [];
let held = 0;

const note = ({ uid, gid, pid }: FuseRequest<unknown>): void => void callers.push({ uid, gid, pid });
const say = (value: unknown): void => console.log(JSON.stringify(value));

/** What /proc/self/mountinfo says of a mountpoint, the topmost mount last. */
function mounts(mountpoint: string): { type: string; source: string; options: string[] }[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [own, rest] = line.split(' - ').map((half) => half.split(' '));
    if (own[4] !== mountpoint) return [];
    const [type, source, more] = rest;
    return [{ type, source, options: [...own[5].split(','), ...more.split(',')] }];
  });
}

/** The open descriptors of /dev/fuse and of rings, and whether children inherit them. */
function descriptors(): { link: string; inherited: boolean }[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const link = readlinkSync(`/proc/self/fd/${fd}`);
      if (!/fuse|io_uring|socket/.test(link)) return [];
      const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0';
      const inherited = (Number.parseInt(flags, 8) & 0o2000000) === 0;
      return [{ link: link.replace(/:\[\d+\]/, ''), inherited }];
    } catch {
      return [];
    }
  });
}

/** The processes whose parent this one is, dead ones too. */
function children(): string[] {
  const tasks = readdirSync('/proc/self/task');
  return tasks.flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
}

async function fail(error: unknown): Promise<never> {
  const { code, errno, syscall, message } = error as NodeJS.ErrnoException;
  say({ error: { code, errno, syscall, message } });
  process.exit(1);
}

const fs = await mount(path, { ...UNCACHED, ...JSON.parse(options ?? '{}') }).catch(fail);
const handlers = sandbox();
const served = serve(fs, {
  ...handlers,
  lookup(request) {
    note(request);
    return handlers.lookup?.(request) ?? null;
  },
  read(request) {
    if (request.ino === inoOf('never')) held++;
    return handlers.read?.(request) ?? 0;
  },
});

let started: Promise<unknown> = Promise.resolve(undefined);

/** Runs a program, in this process's namespaces. */
function run(command: string, ...args: string[]): Promise<unknown> {
  return new Promise((resolve) => {
    execFile(command, args, { env: { ...process.env, LC_ALL: 'C' } }, (error, stdout, stderr) =>
      resolve({ failed: error !== null, stdout, stderr }),
    );
  });
}

const commands: Readonly<Record<string, (...args: string[]) => unknown>> = {
  run,
  /** Starts a program, whose outcome can be asked for later. */
  start(command, ...args) {
    started = run(command, ...args);
    return true;
  },
  outcome: () => started,
  callers: () => callers,
  held: () => held,
  mounts: (mountpoint) => mounts(mountpoint),
  descriptors,
  children,
  close: () =>
    fs.close().then(
      () => true,
      ({ code }) => code,
    ),
  destroy: () => fs.destroy().then(() => true),
  exit: () => process.exit(0),
  die: () => process.kill(process.pid, 'SIGKILL'),
};

const { maker, transport, agreement } = fs;
say({ pid: process.pid, maker, transport, agreement, path: fs.path, mounts: mounts(fs.path) });
for await (const line of createInterface(process.stdin)) {
  const [name, ...args] = JSON.parse(line) as string[];
  say(await commands[name](...args));
}
await fs.close();
await served;
