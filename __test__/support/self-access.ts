/**
 * A program that makes a synchronous call on a mount that the calling thread serves:
 * `self-access.js DIR TRANSPORT CALL MODE`. It prints one line of JSON with what came of the call and of
 * the mounts, and ends by itself.
 *
 * Modes: `one` mount; `two` of one thread, the call on the inner one, which lies in the source of a
 * mirror; `cached`, with the page cache and the write-back cache; `workers`, the call made by a worker
 * on the mount that it serves with others.
 */

import { close, open, write } from 'node:fs';
import { cp, mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { memory, memoryMountOptions, mirror } from '@ringfuse/fs';
import { type Mount, type MountOptions, mount, serve, type Transport } from 'ringfuse';
import { UNCACHED } from './sandbox.ts';
import { calls, children } from './self-calls.ts';

const [dir, transport, name, mode] = process.argv.slice(2);

/**
 * Calls that wait for a child are ended only if asked for. Others are ended long before that; if one is not,
 * this keeps it from being a process that nothing ends.
 */
const stalls: MountOptions = { onStall: 'fail', stallTimeout: name in children ? 500 : 10_000 };

const ended: { [mount: string]: string } = {};

/** Mounts, and notes how that ends. */
async function serving(
  label: string,
  at: string,
  options: MountOptions,
  it?: ReturnType<typeof mirror>,
): Promise<Mount> {
  const fs = await mount(at, { ...options, ...stalls, transport: transport as Transport });
  const handlers = it?.handlers(fs) ?? memory({ locks: true });
  serve(fs, handlers).then(
    () => {
      ended[label] ??= 'ended';
    },
    ({ code }) => {
      ended[label] = code;
    },
  );
  return fs;
}

/** What programs say. */
const words: readonly (readonly [text: string, code: string])[] = [
  ['Connection timed out', 'ETIMEDOUT'],
  ['Software caused connection abort', 'ECONNABORTED'],
  ['Operation canceled', 'ECANCELED'],
  ['Transport endpoint is not connected', 'ENOTCONN'],
];

/** What a call returned or threw. */
async function attempt(call: () => unknown): Promise<string> {
  try {
    await call();
    return 'value';
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code ?? words.find(([text]) => message.includes(text))?.[1] ?? message;
  }
}

const source = join(dir, 'source');
const outer = join(dir, 'outer');
const inner = mode === 'two' ? join(source, 'inner') : join(dir, 'inner');
await mkdir(inner, { recursive: true });
await mkdir(outer, { recursive: true });

const caching: MountOptions = mode === 'cached' ? { capabilities: ['WRITEBACK_CACHE'] } : UNCACHED;
const mounts: Mount[] = [];
if (mode === 'two') {
  const it = mirror(source);
  mounts.push(await serving('outer', outer, { ...it.mountOptions }, it));
}
if (mode === 'workers') {
  const workers = { module: new URL('self-call-worker.js', import.meta.url), data: { dir: inner, name } };
  const fs = await mount(inner, { ...UNCACHED, ...stalls, transport: transport as Transport, workers });
  void fs.closed.then(
    () => {
      ended.inner ??= 'ended';
    },
    ({ code }) => {
      ended.inner = code;
    },
  );
  mounts.push(fs);
} else {
  mounts.push(await serving('inner', inner, { ...memoryMountOptions, ...caching }));
}

let outcome: string;
const home = process.cwd();
if (mode === 'workers') {
  const began = performance.now();
  outcome = await attempt(() => stat(join(inner, 'self')));
  report(performance.now() - began);
} else {
  await writeFile(join(inner, 'file'), 'the contents of a file');
  await writeFile(join(inner, 'module.cjs'), 'module.exports = 1');
  await writeFile(join(inner, 'addon.node'), 'no addon');
  await symlink('file', join(inner, 'link'));
  await mkdir(join(inner, 'directory'));
  await cp('/bin/true', join(inner, 'program'));
  // No FileHandle: that closes its descriptor again when it is collected.
  const fd = await promisify(open)(join(inner, 'file'), 'r+');
  if (mode === 'cached') await promisify(write)(fd, Buffer.from('changed'));
  const began = performance.now();
  outcome = await attempt(() => calls[name]({ dir: inner, fd, home }));
  report(performance.now() - began);
  if (name !== 'closeSync') await promisify(close)(fd).catch(() => undefined);
}

function report(milliseconds: number): void {
  console.log(JSON.stringify({ outcome, milliseconds: Math.round(milliseconds) }));
}

const afterwards: { [mount: string]: string } = {};
if (mode === 'two') afterwards.outer = await attempt(() => stat(outer));
afterwards.inner = await attempt(() => stat(inner));
for (const fs of mounts.reverse()) await fs.destroy();
await new Promise((resolve) => setImmediate(resolve));
console.log(JSON.stringify({ afterwards, ended }));
