import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { mountpoint } from './support/mounted.ts';
import { untilMounted, untilUnmounted } from './support/mounts.ts';

const run = promisify(execFile);

/** The first TypeScript program of a Markdown file. */
function program(markdown: string): string {
  const block = /```ts\n(?<code>[\s\S]*?)```/.exec(markdown)?.groups?.code;
  if (block === undefined) throw new Error('there is no TypeScript in it');
  return block;
}

test('the filesystem of the README compiles, mounts, and can be read', async (t) => {
  const code = program(await readFile('README.md', 'utf8'));
  t.true(code.trim().split('\n').length <= 17, 'it is short');

  const folder = join('build', 'readme');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'hello.ts'), code);
  await run('node_modules/.bin/tsc', [
    ...['--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node', '--ignoreConfig'],
    join(folder, 'hello.ts'),
  ]);

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
