/**
 * A program whose handler transfers the memory of its requests away: `detacher.js DIR TRANSPORT HOW`. It prints what a
 * caller got, and how the mount ended.
 */

import { join } from 'node:path';
import { type Handlers, mount, serve, type Transport } from 'ringfuse';
import { Caller, cat } from './callers.ts';
import { sandbox, UNCACHED } from './sandbox.ts';

const [dir, transport, how] = process.argv.slice(2);

/** `ArrayBuffer.prototype.transfer`, which Node.js 20 has behind a flag. */
const transfer = (view: Buffer): unknown => (view.buffer as unknown as { transfer(): unknown }).transfer();

const kept: unknown[] = [];
const ways: { readonly [how: string]: Handlers } = {
  'read-then-count': {
    read: ({ unsafeBuffer, size }) => {
      kept.push(transfer(unsafeBuffer));
      return size;
    },
  },
  write: {
    write: ({ data }) => {
      const { length } = data;
      kept.push(transfer(data));
      return length;
    },
  },
  later: {
    read: async ({ unsafeBuffer }) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      kept.push(transfer(unsafeBuffer));
      return Buffer.from('bytes');
    },
  },
};

const fs = await mount(dir, { ...UNCACHED, transport: transport as Transport, onError: () => undefined });
const served = serve(fs, sandbox(ways[how])).catch((error) => error);
const caller =
  how === 'write'
    ? new Caller('sh', '-c', 'printf 1 | dd of="$1" conv=notrunc status=none', 'sh', join(dir, 'file'))
    : cat(join(dir, 'file'));
console.log(`caller: ${(await caller.ended).code}`);
const { code, message } = await served;
console.log(`mount: ${code} ${message}`);
