/** Programs from the npm registry that tests run and nothing else needs. They are installed below `target`, once. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

const FOLDER = resolve('target/foreign-tools');

/** Program → npm package and version. */
const PACKAGES = { bun: 'bun@1.4.5', deno: 'deno@2.9.6', esbuild: 'esbuild@0.28.2' } as const;

/** A program that is installed. */
export interface Tool {
  /** Its path. */
  readonly path: string;
  /** Why it cannot be run here; undefined if it can. */
  readonly missing: string | undefined;
}

/** Installs a program if it is not there. Where that fails, the tests that need it are skipped with the reason. */
export function foreignTool(name: keyof typeof PACKAGES): Tool {
  const folder = `${FOLDER}/${name}`;
  const path = `${folder}/node_modules/.bin/${name}`;
  if (runs(path)) return { path, missing: undefined };
  mkdirSync(folder, { recursive: true });
  if (!existsSync(`${folder}/package.json`)) writeFileSync(`${folder}/package.json`, '{ "private": true }');
  const args = ['install', '--no-audit', '--no-fund', '--loglevel=error', PACKAGES[name]];
  const { status, stderr } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8', timeout: 120_000 });
  if (status === 0 && runs(path)) return { path, missing: undefined };
  return { path, missing: `${PACKAGES[name]} cannot be installed: ${stderr?.trim().split('\n')[0]}` };
}

function runs(path: string): boolean {
  return spawnSync(path, ['--version'], { timeout: 30_000 }).status === 0;
}
