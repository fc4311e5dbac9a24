import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { compile, examples } from './support/examples.ts';
import { mountpoint } from './support/mounted.ts';
import { untilMounted } from './support/mounts.ts';
import { run, scratch } from './support/programs.ts';

/** Runs an example of `packages/fs/README.md`, with other directories than it names, until `body` is done with the mount. */
async function runExample(
  t: ExecutionContext,
  name: string,
  code: string,
  body: (dir: string) => Promise<void>,
  source = '',
): Promise<void> {
  const dir = await mountpoint(t);
  const others = { '/mnt/memory': dir, '/mnt/data': dir, '/srv/data': source };
  const changed = Object.entries(others).reduce(
    (text, [named, other]) => text.replace(`'${named}'`, `'${other}'`),
    code,
  );
  const folder = await compile(name, { example: changed });
  const child = spawn(process.execPath, [join(folder, 'example.js')], { stdio: 'inherit' });
  const exited = once(child, 'exit');
  t.teardown(() => child.kill('SIGKILL'));
  await untilMounted(dir);
  await body(dir);
  await run('umount', [dir]);
  t.deepEqual(await exited, [0, null]);
}

test.serial('memory() serves as its README says', async (t) => {
  const [code] = await examples('packages/fs/README.md', 'ts');
  await runExample(t, 'documentation-memory', code, async (dir) => {
    await mkdir(join(dir, 'directory'));
    await writeFile(join(dir, 'directory', 'file'), 'text');
    t.is(await readFile(join(dir, 'directory', 'file'), 'utf8'), 'text');
  });
});

test.serial('mirror() serves as its README says, on one thread and in workers', async (t) => {
  const [, one, workers] = await examples('packages/fs/README.md', 'ts');
  const [head] = one.split('const fs');
  const source = await scratch(t);
  await writeFile(join(source, 'beneath'), 'text');
  for (const [name, code] of Object.entries({ one, workers: head + workers })) {
    const body = async (dir: string): Promise<void> => {
      t.is(await readFile(join(dir, 'beneath'), 'utf8'), 'text');
      await writeFile(join(dir, name), name);
      t.is(await readFile(join(source, name), 'utf8'), name);
    };
    await runExample(t, `documentation-mirror-${name}`, code, body, source);
  }
});
