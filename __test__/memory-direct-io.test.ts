import * as fs from 'node:fs/promises';
import { memory, memoryMountOptions } from '@ringfuse/fs';
import type { Handlers, Requests } from 'ringfuse';
import { bound } from './support/bound.ts';
import { mounted } from './support/mounted.ts';
import { programTest, run } from './support/programs.ts';

const SIZE = 65536;

/** The handlers of a `memory()` whose first write waits; `started` resolves to what lets it go on. */
function held(): { handlers: Handlers; started: Promise<() => void> } {
  const files = memory({ files: { file: Buffer.alloc(SIZE, 'a') } });
  const handlers = bound(files);
  const started = new Promise<() => void>((start) => {
    handlers.write = async (request: Requests['write']): Promise<number> => {
      await new Promise<void>((resolve) => start(resolve));
      return (await files.write?.(request)) as number;
    };
  });
  return { handlers, started };
}

/** The different bytes of a file, read through the page cache. */
async function letters(file: string): Promise<string> {
  return [...new Set(await fs.readFile(file, 'latin1'))].join('');
}

for (const engine of ['libaio', 'io_uring', 'psync']) {
  programTest(
    `a buffered read during a direct write by ${engine} leaves nothing old in the cache`,
    ['fio'],
    async (t) => {
      const { handlers, started } = held();
      const { path } = await mounted(t, handlers, memoryMountOptions);
      const file = path('file');
      const before = await fs.stat(file);
      const writer = run('fio', [
        '--name=write',
        `--filename=${file}`,
        `--ioengine=${engine}`,
        '--direct=1',
        '--rw=write',
        `--bs=${SIZE}`,
        `--size=${SIZE}`,
        '--overwrite=1',
        '--buffer_pattern=0x62',
        '--fallocate=none',
        '--invalidate=0',
      ]);
      const release = await started;
      t.is(await letters(file), 'a');
      release();
      await writer;
      const { mtimeMs } = await fs.stat(file);
      t.true(mtimeMs > before.mtimeMs, 'the time of modification is the old one');
      t.is(await letters(file), 'b');
    },
  );
}
