/**
 * A program that mounts, and then has no address space or no descriptors left: `short.js DIR TRANSPORT`. It says when it
 * serves; its handlers answer after a while. It ends with its standard input.
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mount, serve, type Transport } from 'ringfuse';
import { CONTENTS, sandbox, UNCACHED } from './sandbox.ts';

const [dir, transport] = process.argv.slice(2);
const PAGE = 4096;
/** Less than the memory of the slots that a queue gets at a time (8 MiB), and enough for Node.js. */
const LEFT = 7 << 20;
const maxWrite = 1 << 20;

let quick = true;
const handlers = sandbox({
  read: async ({ offset, size }) => {
    if (!quick) await sleep(100);
    return CONTENTS.subarray(offset, offset + size);
  },
});
const fs = await mount(dir, { ...UNCACHED, transport: transport as Transport, maxWrite, queueDepth: 64 });
const served = serve(fs, handlers);
// What Node.js needs for a request it has now: its own memory must not be what runs short.
for (let round = 0; round < 300; round++) await readFile(join(dir, 'file'));
quick = false;
const used = Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[0]) * PAGE;
const open = readdirSync('/proc/self/fd').length;
const limits = [`--as=${used + LEFT}`, `--nofile=${open}`];
execFileSync('prlimit', ['--pid', String(process.pid), ...limits]);
const before = fs.stats().slots;
console.log('serves');
for await (const _ of process.stdin);
console.log(JSON.stringify({ grown: fs.stats().slots > before }));
await fs.destroy();
await served;
