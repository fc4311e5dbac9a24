/** Views of a request's memory after its reply: harmless, and found in checking mode. */

import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Handlers } from 'ringfuse';
import { Caller, cat } from './support/callers.ts';
import { mounted, mountpoint } from './support/mounted.ts';
import { isMounted } from './support/mounts.ts';
import { CONTENTS, sandbox, UNCACHED } from './support/sandbox.ts';
import { overBoth } from './support/transports.ts';

const DETACHER = fileURLToPath(new URL('support/detacher.js', import.meta.url));

/** Ways to use what a handler was given, after its reply. */
const uses: { readonly [how: string]: (view: Buffer) => unknown } = {
  'its length': (view) => view.length,
  'a method': (view) => view.toString(),
  'a part of it': (view) => view.subarray(0, 1),
  'its memory': (view) => view.buffer,
};

const handlers: Handlers = sandbox({
  read: ({ buffer, offset, size }) => {
    const count = CONTENTS.copy(buffer, 0, offset, offset + size);
    views.push(buffer);
    return count;
  },
  write: ({ data }) => {
    views.push(data);
    return data.length;
  },
});

const views: Buffer[] = [];

const readAndWrite = async (path: string): Promise<void> => {
  await cat(path).ended;
  await new Caller('sh', '-c', 'printf 12345 | dd of="$1" conv=notrunc status=none', 'sh', path).ended;
};

overBoth(
  'a view that is used after the reply throws in checking mode, and is reported',
  async (t, transport) => {
    const reported: { code: string; message: string; cause: Error }[] = [];
    const onError = (error: unknown): void => void reported.push(error as (typeof reported)[0]);
    const options = { ...UNCACHED, transport, checkViews: true, onError };
    const { path } = await mounted(t, handlers, options);
    views.length = 0;
    await readAndWrite(path('file'));
    t.true(views.length >= 2);
    t.deepEqual(reported, []);
    for (const [how, use] of Object.entries(uses)) {
      for (const view of views) {
        t.throws(
          () => use(view),
          { code: 'ERR_RINGFUSE_VIEW', message: /^(read|write) 2: .* after the reply/ },
          how,
        );
      }
    }
    t.is<number | undefined, undefined>(views[0][0], undefined, 'its elements are gone');
    t.is(reported.length, views.length * Object.keys(uses).length);
    t.regex(String(reported[0].cause.stack), /read 2 was answered here[\s\S]*request\.[jt]s/);
  },
);

overBoth(
  'a system call that still writes to the buffer after the reply is found in checking mode',
  async (t, transport) => {
    const reported: { code: string; message: string }[] = [];
    const onError = (error: unknown): void => void reported.push(error as (typeof reported)[0]);
    const scratch = await mkdtemp('/tmp/ringfuse-fifo-');
    t.teardown(() => rm(scratch, { recursive: true }));
    await promisify(execFile)('mkfifo', [join(scratch, 'fifo')]);
    const fifo = await open(join(scratch, 'fifo'), 'r+');
    t.teardown(() => fifo.close());
    const reads: Promise<unknown>[] = [];
    const forgetful = sandbox({
      read: ({ buffer, offset }) => {
        // Not awaited: the bytes come after the reply.
        if (offset === 0) reads.push(fifo.read(buffer, 0, buffer.length, null));
        return offset === 0 ? 5 : 0;
      },
    });
    const options = { ...UNCACHED, transport, checkViews: true, onError };
    const { path } = await mounted(t, forgetful, options);
    await cat(path('file')).ended;
    t.is(reads.length, 1);
    await fifo.write('late');
    await Promise.all(reads);
    while (reported.length === 0) await sleep(20);
    t.is(reported.length, 1);
    t.like(reported[0], { code: 'ERR_RINGFUSE_VIEW' });
    t.regex(reported[0].message, /^read 2: something wrote to its memory after the reply/);
  },
);

overBoth(
  'what is well behaved is served the same in checking mode, and reports nothing',
  async (t, transport) => {
    const reported: unknown[] = [];
    let written = '';
    const good = sandbox({
      read: ({ buffer, offset, size }) => CONTENTS.copy(buffer, 0, offset, offset + size),
      write: ({ data }) => {
        written += data;
        return data.length;
      },
      setxattr: ({ value }) => {
        written += value;
      },
    });
    const onError = (error: unknown): void => void reported.push(error);
    const { path } = await mounted(t, good, { ...UNCACHED, transport, checkViews: true, onError });
    t.is((await cat(path('file')).ended).output, CONTENTS.toString());
    await readAndWrite(path('file'));
    await new Caller('setfattr', '-n', 'user.a', '-v', '678', path('file')).ended;
    t.is(written, '12345678');
    await sleep(300);
    t.deepEqual(reported, []);
  },
);

overBoth('a view that is used after the reply does no harm to the process', async (t, transport) => {
  const { path } = await mounted(t, handlers, { ...UNCACHED, transport, queueDepth: 1 });
  views.length = 0;
  for (let round = 0; round < 5; round++) {
    await readAndWrite(path('file'));
    for (const view of views) {
      view.fill(0xff);
      view.toString();
    }
  }
  t.is((await cat(path('file')).ended).output, CONTENTS.toString());
});

overBoth(
  'memory that a handler transfers away ends the mount with an error, and no process',
  async (t, transport) => {
    for (const how of ['read-then-count', 'write', 'later']) {
      const dir = await mountpoint(t);
      const { stdout } = await promisify(execFile)(process.execPath, [
        '--harmony-rab-gsab-transfer',
        DETACHER,
        dir,
        transport,
        how,
      ]);
      t.regex(
        stdout,
        /^caller: (EIO|ECONNABORTED|ENOTCONN)\nmount: ERR_RINGFUSE_DETACHED the memory of slot/,
        how,
      );
      t.false(await isMounted(dir));
    }
  },
);
