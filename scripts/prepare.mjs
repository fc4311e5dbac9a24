/** From a fresh clone to what can run: npm packages, native binary, JavaScript. Does only what is due. */

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkRequirements } from './requirements.mjs';
import { bin, root, run, say } from './run.mjs';

const modified = (path) => statSync(`${root}${path}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** npm writes its hidden lock file last: where that is the older one, the packages are of another lock. */
function install() {
  if (modified('node_modules/.package-lock.json') >= modified('package-lock.json')) return;
  say('installing the npm packages …');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

/** Into `packages/ringfuse/native`, where the loader looks first. */
function buildNative() {
  say('building the native binary (the first time takes minutes) …');
  run(bin('napi'), [
    'build',
    '--platform',
    '--release',
    '--no-js',
    '--manifest-path=crates/ringfuse-node/Cargo.toml',
    '--package-json-path=packages/ringfuse/package.json',
    '--output-dir=packages/ringfuse/native',
  ]);
}

/** Compiled files whose source was removed or renamed would be packed. */
function removeOrphans() {
  for (const name of readdirSync(`${root}packages`)) {
    const [dist, src] = ['dist', 'src'].map((folder) => `${root}packages/${name}/${folder}`);
    for (const file of existsSync(dist) ? readdirSync(dist, { recursive: true }) : []) {
      const [, stem] = /^(.*?)(?:\.d)?\.(?:js|ts)(?:\.map)?$/.exec(file) ?? [];
      if (stem !== undefined && !existsSync(join(src, `${stem}.ts`))) rmSync(join(dist, file));
    }
  }
}

/** The compiled tests are made anew, so that none outlives its source. */
function buildTypeScript() {
  say('compiling TypeScript …');
  rmSync(`${root}build`, { recursive: true, force: true });
  removeOrphans();
  run(bin('tsc'), ['-b']);
}

/** Everything that must be there before ringfuse runs. Throws an error that says what failed. */
export function prepare() {
  checkRequirements();
  install();
  buildNative();
  buildTypeScript();
}
