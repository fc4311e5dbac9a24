import * as fs from 'node:fs/promises';
import { memory, memoryMountOptions } from '@ringfuse/fs';
import test from 'ava';
import { type Handlers, type Operation, operations, type Request } from 'ringfuse';
import { mounted } from './support/mounted.ts';
import { noPython, startPython } from './support/python.ts';
import { overBoth } from './support/transports.ts';

/** The handlers of a `memory()`, and the operations that they are asked for. */
function watched(): { handlers: Handlers; asked: Operation[] } {
  const files = memory();
  const asked: Operation[] = [];
  const watch = (op: Operation): [string, unknown][] => {
    const handler = files[op] as ((request: Request) => unknown) | undefined;
    if (handler === undefined) return [];
    const record = (request: Request): unknown => {
      asked.push(op);
      return handler.call(files, request);
    };
    return [[op, record]];
  };
  return { handlers: Object.fromEntries(operations.flatMap(watch)) as Handlers, asked };
}

test('of memory() the kernel asks for names, names that are not there, contents and listings once', async (t) => {
  const { handlers, asked } = watched();
  const { path } = await mounted(t, handlers, memoryMountOptions);
  await fs.mkdir(path('directory'));
  const names = Array.from({ length: 300 }, (_, index) => `file-${index}`);
  for (const name of names) await fs.writeFile(path(`directory/${name}`), name);
  const look = async (): Promise<void> => {
    t.deepEqual((await fs.readdir(path('directory'))).sort(), [...names].sort());
    t.is(await fs.readFile(path('directory/file-7'), 'utf8'), 'file-7');
    await t.throwsAsync(fs.stat(path('directory/none')), { code: 'ENOENT' });
  };
  await look();
  // Attributes once more: a read that was a request changed the time of access.
  await look();
  asked.length = 0;
  await look();
  t.deepEqual(
    asked.filter((op) => op !== 'opendir' && op !== 'releasedir'),
    [],
  );
  // What changes is seen.
  await fs.rename(path('directory/file-7'), path('directory/none'));
  await fs.writeFile(path('directory/file-8'), 'another');
  await fs.unlink(path('directory/file-9'));
  t.is(await fs.readFile(path('directory/none'), 'utf8'), 'file-7');
  t.is(await fs.readFile(path('directory/file-8'), 'utf8'), 'another');
  t.deepEqual(
    (await fs.readdir(path('directory'))).sort(),
    [...names.filter((name) => name !== 'file-7' && name !== 'file-9'), 'none'].sort(),
  );
  await t.throwsAsync(fs.stat(path('directory/file-9')), { code: 'ENOENT' });
});

test('memory() truncates with and without ATOMIC_O_TRUNC', async (t) => {
  for (const capabilities of [[], ['ATOMIC_O_TRUNC']] as const) {
    for (const locks of [false, true]) {
      const { path } = await mounted(t, memory({ files: { file: 'a long content' }, locks }), {
        ...memoryMountOptions,
        capabilities,
      });
      t.is(await fs.readFile(path('file'), 'utf8'), 'a long content');
      await fs.writeFile(path('file'), 'short');
      t.is(await fs.readFile(path('file'), 'utf8'), 'short');
      await (await fs.open(path('file'), 'w')).close();
      t.is((await fs.stat(path('file'))).size, 0);
    }
  }
});

test('an unlinked file of memory() lives until it is closed', async (t) => {
  const files = memory();
  const { path } = await mounted(t, files, memoryMountOptions);
  await fs.writeFile(path('warm'), '');
  await fs.readFile(path('warm'));
  await fs.writeFile(path('file'), 'x'.repeat(100_000));
  const { size } = files.usage;
  const file = await fs.open(path('file'), 'r+');
  await fs.unlink(path('file'));
  t.is(files.usage.size, size);
  await file.write('y', 0);
  t.is((await file.readFile('utf8')).length, 100_000);
  await file.close();
  while (files.usage.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  t.is(files.usage.inodes, 2);
});

/** Copies within small files, which grow by it. */
const COPIES = `
import os, sys
for i in range(400):
    path = os.path.join(sys.argv[1], 'copied%d' % i)
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(file, b'x' * 16000)
    os.ftruncate(file, 90000)
    for to in 20000, 60000:
        assert os.copy_file_range(file, file, 16000, 0, to) == 16000
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    data = os.pread(file, 90000, 0)
    x = b'x' * 16000
    assert data == x + bytes(4000) + x + bytes(24000) + x + bytes(14000), i
    os.close(file)
    os.unlink(path)
`;

overBoth(
  'copy_file_range within a file of memory() copies its bytes, also where the file grows',
  async (t) => {
    t.is(noPython, undefined);
    const errors: unknown[] = [];
    const onError = (error: unknown): void => void errors.push(error);
    const { path } = await mounted(t, memory(), { ...memoryMountOptions, onError });
    const { code, stderr } = await startPython(COPIES, path('')).ended;
    t.is(stderr, '');
    t.is(code, 0);
    t.deepEqual(errors, []);
  },
);
