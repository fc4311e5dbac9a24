/** Running other programs from the root of the repository. */

import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** The path of a command that an npm package of the workspace brings. */
export const bin = (name) => `${root}node_modules/.bin/${name}`;

/** Whether this process may do what only root may. */
export const isRoot = process.getuid?.() === 0;

/** Says what these scripts do. */
export const say = (text) => console.log(`ringfuse: ${text}`);

/** Whether a command can be run at all. */
export const exists = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;

/** Runs a command with this terminal; throws unless it succeeds. */
export function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')}: ${signal ?? `exit code ${status}`}`);
}

/** Runs a command with this terminal and keeps what it writes to stdout. Resolves to that and its success. */
export async function tee(command, args, options = {}) {
  const child = spawn(command, args, { cwd: root, stdio: ['inherit', 'pipe', 'inherit'], ...options });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    process.stdout.write(text);
  });
  const succeeded = await new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve(code === 0));
  });
  return { output, succeeded };
}

/** A whole number of the command line. */
export function whole(name, text) {
  if (!/^\d+$/.test(text)) throw new Error(`--${name} ${text}: a whole number is meant`);
  return Number(text);
}

/** Runs a script's `main`; an error becomes one line and exit code 1. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    console.error(`ringfuse: ${error.message}`);
    process.exitCode = 1;
  }
}
