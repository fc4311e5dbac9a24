/** A channel that breaks: `serve`, `closed` and `onError` report the same end, with one thread and with workers. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { mountpoint } from './support/mounted.ts';
import { isMounted } from './support/mounts.ts';
import { overBoth, transport } from './support/transports.ts';

const BREAKER = fileURLToPath(new URL('support/breaker.js', import.meta.url));

const breaks = {
  transfer: { what: 'its handler transfers the memory of a request', code: 'ERR_RINGFUSE_DETACHED' },
  'early transfer': {
    what: 'a handler has transferred the memory of slots that were not used before',
    code: 'ERR_RINGFUSE_DETACHED',
  },
  'transfer between': {
    what: 'a handler transfers its memory when the next request is taken and not handed out',
    code: 'ERR_RINGFUSE_DETACHED',
  },
  descriptor: {
    what: 'its system call fails',
    code: transport === 'io_uring' ? 'ERR_RINGFUSE_IO_URING' : 'ERR_RINGFUSE_DEVICE',
  },
} as const;

for (const [how, { what, code }] of Object.entries(breaks)) {
  for (const threads of ['one', 'workers']) {
    const where = threads === 'one' ? 'the thread that mounted' : 'a worker';
    overBoth(
      `a channel that breaks in ${where}, as ${what}, ends the mount with an error`,
      async (t, transport) => {
        const dir = await mountpoint(t);
        const { stdout, stderr } = await promisify(execFile)(process.execPath, [
          '--harmony-rab-gsab-transfer',
          BREAKER,
          dir,
          transport,
          how,
          threads,
        ]);
        const { caller, ...seen } = JSON.parse(stdout);
        t.true([undefined, 'EIO', 'ECONNABORTED', 'ENOTCONN'].includes(caller), caller);
        const warnings = threads === 'one' ? [] : ['RINGFUSE_UNREPORTED'];
        t.deepEqual(seen, { served: code, closed: code, isError: true, errors: [code], warnings }, stderr);
        t.false(await isMounted(dir));
      },
    );
  }
}
