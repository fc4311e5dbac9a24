import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { compile, examples } from './support/examples.ts';
import { mountpoint } from './support/mounted.ts';
import { untilMounted, untilUnmounted } from './support/mounts.ts';

const run = promisify(execFile);

test('the filesystem of the README compiles, mounts, and can be read', async (t) => {
  const code = (await examples('README.md', 'ts'))[0];
  t.true(code.trim().split('\n').length <= 17, 'it is short');

  const folder = await compile('readme', { hello: code });
  const dir = await mountpoint(t);
  const child = spawn(process.execPath, [join(folder, 'hello.js'), dir], { stdio: 'inherit' });
  const exited = once(child, 'exit');
  t.teardown(() => child.kill('SIGKILL'));
  await untilMounted(dir);
  t.is(await readFile(join(dir, 'hello'), 'utf8'), 'Hello from TypeScript.\n');
  const { stdout } = await run('ls', ['-la', dir]);
  t.regex(stdout, /-r--r--r--.* 23 .*hello/);
  await t.throwsAsync(readFile(join(dir, 'other')), { code: 'ENOENT' });

  child.kill('SIGINT');
  const [, signal] = await exited;
  t.is(signal, 'SIGINT');
  await untilUnmounted(dir);
});
