/**
 * Handlers that break the channel of the thread that runs them, in a read of `file`: the default export is a worker's
 * module, whose `data` says how.
 */

import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import type { Handlers, ReadRequest, WorkerContext } from 'ringfuse';
import { sandbox } from './sandbox.ts';

/** How a channel is broken. */
export type Break = 'transfer' | 'early transfer' | 'transfer between' | 'descriptor';

/** `ArrayBuffer.prototype.transfer`, which Node.js 20 has behind a flag. */
function transfer({ unsafeBuffer, size }: ReadRequest): number {
  (unsafeBuffer.buffer as unknown as { transfer(): unknown }).transfer();
  return size;
}

/** The same, by a handler that does not answer. */
function transferEarly(request: ReadRequest): Promise<never> {
  transfer(request);
  return new Promise<never>(() => undefined);
}

/** Milliseconds in which another request comes. */
const BUSY = 500;

/** The same, when the loop has taken the next request and not begun with it. */
function transferBetween(request: ReadRequest): Promise<never> {
  for (const end = performance.now() + BUSY; performance.now() < end; );
  queueMicrotask(() => request.reply(transfer(request)));
  return new Promise<never>(() => undefined);
}

/** Puts a directory in the place of the descriptors that the channel turns on: its next system call fails. */
function replaceDescriptors(): Buffer {
  const links = readdirSync('/proc/self/fd').map((fd) => ({ fd: Number(fd), link: linkOf(fd) }));
  const rings = links.filter(({ link }) => link.includes('io_uring'));
  const broken = rings.length > 0 ? rings : links.filter(({ link }) => link === '/dev/fuse');
  for (const { fd } of broken) {
    closeSync(fd);
    const others: number[] = [];
    for (let made = openSync('/', 'r'); made !== fd; made = openSync('/', 'r')) others.push(made);
    for (const other of others) closeSync(other);
  }
  return Buffer.from('bytes');
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

/** The sandbox, with a read that breaks its channel. */
export function breaking(how: Break): Handlers {
  return sandbox({ read: reads[how] });
}

const reads: Readonly<Record<Break, (request: ReadRequest) => number | Buffer | Promise<never>>> = {
  transfer,
  'early transfer': transferEarly,
  'transfer between': transferBetween,
  descriptor: replaceDescriptors,
};

export default ({ data }: WorkerContext): Handlers => breaking(data as Break);
