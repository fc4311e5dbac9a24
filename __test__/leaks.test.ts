import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { mountpoint } from './support/mounted.ts';
import { isMounted } from './support/mounts.ts';

const run = promisify(execFile);

const ROUNDS = 1000;
const WARM_UP = 200;

/** Mounts, serves a request and unmounts again and again; prints what the process has before and after. */
const PROGRAM = `
import { readFileSync, readdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { mount, serve } from 'ringfuse';

const [dir, warmUp, rounds] = process.argv.slice(1);
const handlers = {
  getattr: () => ({ attr: { mode: 0o40755, nlink: 2 } }),
  statfs: () => ({ blocks: 1, bfree: 0, bavail: 0, files: 1, ffree: 0 }),
};

async function repeat(count) {
  let ring = 0;
  for (let round = 0; round < count; round++) {
    const fs = await mount(dir);
    const served = serve(fs, handlers);
    await statfs(dir);
    await fs.close();
    await served;
    ring += fs.stats().ringRequests;
  }
  return ring;
}

async function measure() {
  // What has been closed is freed by the kernel, and collected here, a little later.
  for (let pass = 0; pass < 5; pass++) {
    globalThis.gc();
    await sleep(50);
  }
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: readFileSync('/proc/self/maps', 'utf8').split('\\n').length,
    threads: readdirSync('/proc/self/task').length,
    rss: process.memoryUsage.rss(),
    arrayBuffers: process.memoryUsage().arrayBuffers,
  };
}

await repeat(Number(warmUp));
const before = await measure();
const ring = await repeat(Number(rounds));
const after = await measure();
console.log(JSON.stringify({ before, after, ring }));
`;

test('1,000 mounts leave no descriptor, mapping, thread or memory', async (t) => {
  const dir = await mountpoint(t);
  const args = [
    '--expose-gc',
    '--input-type=module',
    '--eval',
    PROGRAM,
    dir,
    String(WARM_UP),
    String(ROUNDS),
  ];
  const { stdout } = await run(process.execPath, args);
  const { before, after, ring } = JSON.parse(stdout);
  t.log(`before: ${JSON.stringify(before)}`);
  t.log(`after: ${JSON.stringify(after)}`);
  t.log(`${ring} requests by the ring`);
  t.is(after.descriptors, before.descriptors);
  t.true(after.threads <= before.threads);
  // One that each mount left would be 1,000; V8's young generation comes and goes in up to 64 pieces.
  t.true(after.mappings - before.mappings < 200, 'mappings');
  t.true(after.rss - before.rss < 32 << 20, 'resident memory');
  t.true(after.arrayBuffers - before.arrayBuffers < 64 << 20, 'slot memory');
  t.false(await isMounted(dir));
});
