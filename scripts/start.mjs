/**
 * `npm start [-- DIR]`: prepares everything and mounts the memory filesystem, on DIR or on a fresh directory,
 * until Ctrl-C.
 */

import { mkdtempSync, rmdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { announceRing, prepareRing } from './machine.mjs';
import { prepare } from './prepare.mjs';
import { main, say } from './run.mjs';
import { PREFIX } from './stale-mounts.mjs';
import { welcome } from './welcome.mjs';

/** Serves the memory filesystem on `dir`, with the code of `ringfuse mount memory`. */
async function start(dir) {
  const { serveInForeground } = await import('../packages/cli/dist/foreground.js');
  const { memory, memoryMountOptions } = await import('@ringfuse/fs');
  const { serve } = await import('ringfuse');
  const filesystem = {
    options: memoryMountOptions,
    serve: (fs) => serve(fs, memory({ files: welcome(dir) })),
  };
  await serveInForeground(dir, filesystem, (line) => {
    console.log(line);
    say(`try: cat ${join(dir, 'README.txt')} — from another terminal; Ctrl-C ends it`);
  });
}

await main(async () => {
  const [given] = process.argv.slice(2);
  announceRing();
  prepare();
  prepareRing();
  if (given !== undefined) return start(resolve(given));

  const dir = mkdtempSync(PREFIX);
  try {
    await start(dir);
  } finally {
    rmdirSync(dir);
  }
});
