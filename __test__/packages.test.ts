import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, copyFile, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { examples, typescript } from './support/examples.ts';
import { mountpoint } from './support/mounted.ts';
import { untilMounted, untilUnmounted } from './support/mounts.ts';
import { run, scratch } from './support/programs.ts';
import { overBoth, testUnless } from './support/transports.ts';

const NATIVE = 'packages/ringfuse/native';
const napi = resolve('node_modules/.bin/napi');

/** Milliseconds that all of it may take. */
const LONGEST = 300_000;

/**
 * Prepares a release in `stage` by the commands that `npm/README.md` names. This machine has made one binary: it stands
 * in for those of the other platforms, which are packed for nobody here.
 */
async function release(stage: string): Promise<void> {
  for (const folder of ['packages', 'npm']) {
    const filter = (path: string): boolean => path !== NATIVE;
    await cp(folder, join(stage, folder), { recursive: true, filter });
  }
  await copyFile('package.json', join(stage, 'package.json'));
  await mkdir(join(stage, 'artifacts'));
  const [binary] = (await readdir(NATIVE)).filter((name) => name.endsWith('.node'));
  for (const platform of await platforms()) {
    await copyFile(join(NATIVE, binary), join(stage, 'artifacts', `ringfuse.${platform}.node`));
  }
  const where = ['--package-json-path', 'packages/ringfuse/package.json', '--npm-dir', 'npm'];
  await run(napi, ['artifacts', '--output-dir', 'artifacts', ...where], { cwd: stage });
  await run(napi, ['pre-publish', '--skip-optional-publish', '--no-gh-release', ...where], { cwd: stage });
}

async function platforms(): Promise<string[]> {
  const entries = await readdir('npm', { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Packs what is published, and what of others it needs; resolves to the paths of the tarballs. */
async function pack(stage: string, env: Readonly<Record<string, string>>): Promise<string[]> {
  const [platform] = (await readdir(NATIVE)).flatMap(
    (name) => /^ringfuse\.(.*)\.node$/.exec(name)?.[1] ?? [],
  );
  const folders = [
    ...['ringfuse', 'fs', 'cli'].map((name) => join(stage, 'packages', name)),
    join(stage, 'npm', platform),
    resolve('node_modules/commander'),
  ];
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', stage];
  return Promise.all(
    folders.map(async (cwd) => {
      const [{ filename }] = JSON.parse(await run('npm', args, { cwd, env }));
      return join(stage, filename);
    }),
  );
}

/** Files below `folder` that name a source map or a source that is not there, of the packages of this project. */
async function missingSources(folder: string): Promise<string[]> {
  const names = (await readdir(folder, { recursive: true })).filter((name) =>
    /^(@ringfuse\/(fs|cli)|ringfuse)\/dist\/.*\.(js|d\.ts)$/.test(name),
  );
  if (names.length < 100) throw new Error(`only ${names.length} files were found`);
  const missing: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const [, map] = /^\/\/# sourceMappingURL=(.*)$/m.exec(await readFile(path, 'utf8')) ?? [];
    if (map === undefined) continue;
    try {
      const { sources } = JSON.parse(await readFile(join(dirname(path), map), 'utf8'));
      for (const source of sources) await access(join(dirname(path), source));
    } catch {
      missing.push(name);
    }
  }
  return missing;
}

async function serves(t: ExecutionContext, program: string, cwd: string): Promise<void> {
  const dir = await mountpoint(t);
  const child = spawn(process.execPath, [program, dir], { cwd, stdio: 'inherit' });
  const exited = once(child, 'exit');
  t.teardown(() => child.kill('SIGKILL'));
  await untilMounted(dir);
  t.is(await readFile(join(dir, 'hello'), 'utf8'), 'Hello from TypeScript.\n');
  child.kill('SIGINT');
  await exited;
  await untilUnmounted(dir);
}

overBoth(
  'what is published installs offline without a compiler, and serves the example of the README',
  async (t) => {
    t.timeout(LONGEST);
    const [stage, app] = [await scratch(t), await scratch(t)];
    // A cache of its own: what is not in the tarballs is not there.
    const env = {
      npm_config_cache: join(stage, 'cache'),
      npm_config_userconfig: '/dev/null',
      NO_UPDATE_NOTIFIER: '1',
    };
    await release(stage);
    const tarballs = await pack(stage, env);
    await writeFile(join(app, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
    const quietly = ['--no-audit', '--no-fund', '--ignore-scripts'];
    await run('npm', ['install', '--offline', ...quietly, ...tarballs], { cwd: app, env });

    const [example] = await examples('README.md', 'ts');
    await writeFile(join(app, 'hello.ts'), example);
    await writeFile(join(app, 'hello.js'), example);
    await serves(t, 'hello.js', app);
    await symlink(resolve('node_modules/@types'), join(app, 'node_modules/@types'));
    await t.notThrowsAsync(typescript(['--noEmit', join(app, 'hello.ts')]), 'its types are there');

    const alone = await scratch(t);
    await writeFile(join(alone, 'package.json'), JSON.stringify({ private: true }));
    const library = tarballs.filter((path) => /\/ringfuse-(binding-.*|\d.*)\.tgz$/.test(path));
    t.is(library.length, 2);
    await run('npm', ['install', '--offline', ...quietly, ...library], { cwd: alone, env });
    for (const cwd of [app, alone]) {
      const { checks } = JSON.parse(await doctor(cwd));
      t.like(
        checks.find(({ check }: { check: string }) => check === 'native binary'),
        { status: 'ok' },
        'npx ringfuse doctor',
      );
    }
    t.deepEqual(await missingSources(join(app, 'node_modules')), []);
    const scope = (await readdir(join(app, 'node_modules/@ringfuse'))).map((name) => `@ringfuse/${name}`);
    for (const name of ['ringfuse', ...scope])
      t.regex(await readFile(join(app, 'node_modules', name, 'LICENSE'), 'utf8'), /MIT/, name);
    for (const name of scope.filter((name) => name.startsWith('@ringfuse/binding-')))
      await rm(join(app, 'node_modules', name), { recursive: true });
    await t.throwsAsync(run(process.execPath, ['hello.js', '/tmp'], { cwd: app }), {
      message: /ERR_RINGFUSE_NATIVE.*`npm install ringfuse` without --omit=optional/s,
    });

    /** `npx ringfuse doctor`, which fails where there is no ring. */
    function doctor(cwd: string): Promise<string> {
      const args = ['exec', '--offline', '--no', '--', 'ringfuse', 'doctor', '--json'];
      const { RINGFUSE_TEST_TRANSPORT: _, ...own } = process.env;
      return promisify(execFile)('npm', args, { cwd, env: { ...own, ...env } }).then(
        ({ stdout }) => stdout,
        ({ stdout }) => stdout,
      );
    }
  },
);

testUnless(undefined, 'the package of a platform without its binary cannot be packed', async (t) => {
  const folder = await scratch(t);
  for (const platform of await platforms()) {
    const packed = run('npm', ['pack', '--pack-destination', folder], { cwd: join('npm', platform) });
    await t.throwsAsync(packed, { message: new RegExp(`${platform}.node is missing: .napi artifacts.`) });
  }
  t.deepEqual(await readdir(folder), []);
});
