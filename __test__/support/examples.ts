/** The examples in the documentation: its blocks of code, compiled as a reader would. */

import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** The code of all blocks of a language in a Markdown file, in their order. */
export async function examples(file: string, language: string): Promise<string[]> {
  const blocks = (await readFile(file, 'utf8')).matchAll(/^```(?<language>\w*)\n(?<code>[\s\S]*?)^```$/gm);
  return [...blocks]
    .filter(({ groups }) => groups?.language === language)
    .map(({ groups }) => groups?.code ?? '');
}

/** Compiles programs, by name, into a folder of `build`; resolves to its path. Rejects with what the compiler says. */
export async function compile(name: string, programs: Readonly<Record<string, string>>): Promise<string> {
  const folder = join('build', 'examples', name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const files = Object.keys(programs).map((program) => join(folder, `${program}.ts`));
  await Promise.all(Object.values(programs).map((code, index) => writeFile(files[index], code)));
  await typescript([...files]);
  return folder;
}

/** Runs the compiler, strictly. */
export async function typescript(args: readonly string[]): Promise<void> {
  const strictly = [
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--types',
    'node',
    '--ignoreConfig',
  ];
  await exec('node_modules/.bin/tsc', [...strictly, ...args]).catch(({ stdout }: { stdout: string }) => {
    throw new Error(stdout);
  });
}
