/** Programs that try to mount in a process of their own, under conditions that this process must not have. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Transport } from 'ringfuse';

/** What came of it. */
export interface Attempt {
  /** The transport that was used, if it was mounted, and why it was not the ring. */
  readonly transport?: Transport;
  readonly reason?: string;
  /** Whether a file of the mount could be read, by another process. */
  readonly read?: boolean;
  /** The error of `mount`. */
  readonly code?: string;
  readonly message?: string;
  /** Descriptors of /dev/fuse and io_uring that are left in the end. */
  readonly descriptors: readonly string[];
}

/**
 * Mounts by `await mount(DIR, { transport })`, reads a file of it by another process, and unmounts; says what came of
 * it. `BEFORE` is run first: it may take away what mounting needs.
 */
const PROGRAM = `
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { promisify } from 'node:util';
import { mount, serve } from 'ringfuse';

const [dir, transport] = process.argv.slice(1);
const contents = Buffer.from('contents');
const file = { mode: 0o100444, size: contents.length };
const directory = { mode: 0o40755, nlink: 2 };
const handlers = {
  lookup: ({ name }) => (name === 'file' ? { ino: 2, attr: file } : null),
  getattr: ({ ino }) => ({ attr: ino === 1 ? directory : file }),
  read: ({ offset, size }) => contents.subarray(offset, offset + size),
};
function descriptors() {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync('/proc/self/fd/' + fd);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link === '/dev/fuse' || link.includes('io_uring'));
}
async function attempt() {
  const fs = await mount(dir, { transport });
  const served = serve(fs, handlers);
  const { stdout } = await promisify(execFile)('cat', [dir + '/file']).catch(() => ({ stdout: '' }));
  // Where it cannot be taken out of the tree, it is ended.
  await fs.close().catch(async (error) => {
    await fs.destroy();
    throw error;
  });
  await served;
  return { transport: fs.transport, reason: fs.transportReason, read: stdout === 'contents' };
}
// What the process needs anyway is loaded before anything is taken away.
await mount('/nowhere').catch(() => undefined);
BEFORE
const outcome = await attempt().catch(({ code, message }) => ({ code, message }));
console.log(JSON.stringify({ ...outcome, descriptors: descriptors() }));
process.exit(0);
`;

/** Conditions under which a process starts. */
export interface Conditions {
  /** Code that is run before it mounts. */
  readonly before?: string;
  /** A command that it is started by. */
  readonly through?: readonly string[];
}

/** Tries it on a directory. Resolves to what came of it; rejects if the program did not come to its end. */
export async function attemptMount(
  dir: string,
  transport: Transport | 'auto',
  { before = '', through = [] }: Conditions,
): Promise<Attempt> {
  const program = PROGRAM.replace('BEFORE', before);
  const command = [...through, process.execPath, '--input-type=module', '--eval', program, dir, transport];
  // With no transport of the run's: 'auto' is what it is.
  const { RINGFUSE_TEST_TRANSPORT: _, ...env } = process.env;
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command[0]} ended with ${signal ?? code}: ${errors}`);
  return JSON.parse(output);
}
