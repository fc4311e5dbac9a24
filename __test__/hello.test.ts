import { readdir, readFile, stat } from 'node:fs/promises';
import test from 'ava';
import type { Attributes, Handlers } from 'ringfuse';
import { mounted } from './support/mounted.ts';
import { transport } from './support/transports.ts';

const contents = Buffer.from('Hello from TypeScript.\n');
const directory: Attributes = { mode: 0o40755, nlink: 2 };
const file: Attributes = { mode: 0o100444, size: contents.length };

const hello: Handlers = {
  lookup: ({ name }) => (name === 'hello' ? { ino: 2, attr: file } : null),
  getattr: ({ ino }) => ({ attr: ino === 1 ? directory : file }),
  read: ({ offset, size }) => contents.subarray(offset, offset + size),
  readdir: ({ offset }) => [{ name: 'hello', ino: 2, offset: 1 }].slice(offset),
};

test('a filesystem of four handlers can be listed and read', async (t) => {
  const { dir, path, mount } = await mounted(t, hello);
  t.deepEqual(await readdir(dir), ['hello']);
  t.is(await readFile(path('hello'), 'utf8'), contents.toString());
  t.is((await stat(path('hello'))).size, contents.length);
  await t.throwsAsync(stat(path('missing')), { code: 'ENOENT' });
  t.is(mount.transport, transport);
});
