import { statSync } from 'node:fs';
import { memory, memoryMountOptions } from '@ringfuse/fs';
import test from 'ava';
import { operations, type Request } from 'ringfuse';
import { mounted } from './support/mounted.ts';
import { noPython } from './support/python.ts';
import { systemCalls } from './support/system-calls.ts';

/** Files that are forgotten at once: more than a ring has room for completions. */
const FILES = 2000;

/** Milliseconds that the serving thread is busy with system calls of its own meanwhile. */
const BUSY = 400;

const body = async (t: Parameters<typeof systemCalls>[0]): Promise<void> => {
  const files = memory();
  const { dir } = await mounted(
    t,
    {
      ...Object.fromEntries(
        operations.flatMap((op) => {
          const handler = files[op];
          return handler === undefined ? [] : [[op, (handler as (request: Request) => unknown).bind(files)]];
        }),
      ),
      statfs: () => {
        for (const end = Date.now() + BUSY; Date.now() < end; ) statSync('/');
        return { blocks: 1, bfree: 0, bavail: 0, files: 1, ffree: 0 };
      },
    },
    memoryMountOptions,
  );
  const code = `
names = [at('%d' % n) for n in range(${FILES})]
fds = [os.open(name, os.O_CREAT | os.O_RDWR) for name in names]
for name in names: os.unlink(name)
busy = threading.Thread(target=os.statvfs, args=(path,))
busy.start()
time.sleep(0.1)
for fd in fds: os.close(fd)
busy.join()
say([os.listdir(path), os.stat(at('.')).st_nlink])
`;
  t.deepEqual(await systemCalls(t, code, dir), [[], 2]);
};

const title = 'a flood of FORGETs while the thread is busy does not stop the mount';
if (noPython === undefined) test(title, body);
else test.skip(`${title} (${noPython})`, body);
