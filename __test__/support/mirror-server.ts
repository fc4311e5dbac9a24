/**
 * A program that serves a mirror: `mirror-server.js SOURCE DIR OPTIONS MOUNT_OPTIONS WORKERS`, options as JSON, workers
 * as a number, 0 for none. It prints a line of JSON once it serves, or failed to, and ends with its standard input.
 */

import { mirror } from '@ringfuse/fs';
import { mount, serve } from 'ringfuse';

const [source, dir, options, mountOptions, workers] = process.argv.slice(2);
const say = (value: unknown): void => console.log(JSON.stringify(value));

try {
  const it = mirror(source, JSON.parse(options));
  const count = Number(workers);
  const fs = await mount(dir, {
    ...it.mountOptions,
    ...(count > 0 ? { workers: it.workers({ count }) } : {}),
    ...JSON.parse(mountOptions),
  });
  const served = count > 0 ? fs.closed.finally(() => it.close()) : serve(fs, it.handlers(fs));
  say({ transport: fs.transport });
  process.stdin.resume().once('end', () => void fs.destroy());
  await served;
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  say({ code, message });
  process.exitCode = 1;
}
