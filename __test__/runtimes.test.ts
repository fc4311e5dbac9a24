/** ringfuse under other runtimes than Node.js, in bundles, and in a Node.js process that may not do everything. */

import { execFile } from 'node:child_process';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { foreignTool } from './support/foreign-tools.ts';
import { mountpoint } from './support/mounted.ts';
import { isMounted } from './support/mounts.ts';
import { scratch } from './support/programs.ts';
import { overBoth, testUnless } from './support/transports.ts';

const exec = promisify(execFile);
const LIBRARY = resolve('packages/ringfuse/dist/index.js');
const NATIVE = resolve('packages/ringfuse/native');
const COMMAND = resolve('packages/cli/bin/ringfuse.js');

/** A program that mounts the directory of its argument and prints how that ended, as JSON. */
const program = (options: string, library = LIBRARY): string => `
import { mount } from ${JSON.stringify(library)};
try {
  const fs = await mount(process.argv[2], ${options});
  await fs.destroy();
  console.log('{}');
} catch ({ code, message }) {
  console.log(JSON.stringify({ code, message }));
}
process.exit();
`;

interface Outcome {
  readonly code?: string;
  readonly message?: string;
}

/** Other programs than Node.js know nothing of the witness that the environment names. */
async function run(command: string, ...args: string[]): Promise<Outcome> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout } = await exec(command, args, { env, timeout: 60_000 });
  return JSON.parse(stdout);
}

for (const { name, args } of [
  { name: 'bun', args: [] },
  { name: 'deno', args: ['run', '--allow-all'] },
] as const) {
  const { path, missing } = foreignTool(name);
  testUnless(missing, `under ${name}, mount() is refused before anything is mounted`, async (t) => {
    const [dir, folder] = [await mountpoint(t), await scratch(t)];
    await writeFile(join(folder, 'program.mjs'), program('{}'));
    const { code, message } = await run(path, ...args, join(folder, 'program.mjs'), dir);
    t.is(code, 'ERR_RINGFUSE_RUNTIME');
    t.regex(message ?? '', new RegExp(`${name} \\d.*with \`node\``, 'i'));
    t.false(await isMounted(dir));
  });

  testUnless(missing, `under ${name}, ringfuse doctor says that nothing works there, and why`, async (t) => {
    const { NODE_OPTIONS: _, ...env } = process.env;
    const ended = await exec(path, [...args, COMMAND, 'doctor', '--json'], { env }).then(
      () => t.fail('it ends with 0'),
      (error: { code: number; stdout: string }) => error,
    );
    if (ended === undefined || typeof ended === 'boolean') return;
    t.is(ended.code, 1);
    const { ring, devFuse, checks } = JSON.parse(ended.stdout);
    t.deepEqual([ring, devFuse], [false, false]);
    const native = checks.find(({ check }: { check: string }) => check === 'native binary');
    t.is(native.status, 'problem');
    t.regex(native.detail, new RegExp(`${name} \\d`, 'i'));
  });
}

const esbuild = foreignTool('esbuild');
overBoth(
  'a bundle that contains ringfuse says that workers need it to be external',
  async (t) => {
    const [dir, folder] = [await mountpoint(t), await scratch(t)];
    await writeFile(join(folder, 'entry.mjs'), program("{ workers: { module: '/nowhere.js' } }"));
    const bundle = ['--bundle', '--platform=node', '--format=esm', '--log-level=error'];
    const output = join(folder, 'worker.mjs');
    await exec(esbuild.path, [join(folder, 'entry.mjs'), ...bundle, `--outfile=${output}`]);
    // As it is installed: beside the bundle.
    const [binary = ''] = (await readdir(NATIVE)).filter((name) => name.endsWith('.node'));
    const installed = join(
      folder,
      'node_modules/@ringfuse',
      binary.replace(/^ringfuse\.(.*)\.node$/, 'binding-$1'),
    );
    await mkdir(installed, { recursive: true });
    await symlink(join(NATIVE, binary), join(installed, 'index.node'));
    await writeFile(join(installed, 'package.json'), '{ "main": "index.node" }');
    const { code, message } = await run(process.execPath, output, dir);
    t.is(code, 'ERR_RINGFUSE_WORKER', message);
    t.regex(message ?? '', /keep both external \(`esbuild --external:ringfuse/);
    t.false(await isMounted(dir));
  },
  esbuild.missing,
);

const permission = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission';
for (const [title, flags, options, code, message] of [
  ['--allow-addons', [], '{}', 'ERR_RINGFUSE_NATIVE', /run node with --allow-addons/],
  [
    '--allow-worker',
    ['--allow-addons'],
    "{ workers: { module: '/nowhere.js' } }",
    'ERR_RINGFUSE_OPTION',
    /option workers: .*run node with --allow-worker/,
  ],
] as const) {
  testUnless(undefined, `without ${title}, a process with ${permission} is told to add it`, async (t) => {
    const [dir, folder] = [await mountpoint(t), await scratch(t)];
    await writeFile(join(folder, 'program.mjs'), program(options));
    const args = [permission, '--no-warnings', '--allow-fs-read=*', '--allow-fs-write=*', ...flags];
    const outcome = await run(process.execPath, ...args, join(folder, 'program.mjs'), dir);
    t.is(outcome.code, code, outcome.message);
    t.regex(outcome.message ?? '', message);
    t.false(await isMounted(dir));
  });
}
