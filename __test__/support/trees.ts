/** Trees of files to copy, and what `find` and `diff` say of them. */

import { join } from 'node:path';
import { run, shell } from './programs.ts';

/** A real tree of some hundred files, which no test changes. */
const REAL = join(process.cwd(), 'node_modules/@types/node');

/** Makes `source` in `directory`: a real tree, and beside it one of everything else that a tree can have. */
export async function makeTree(directory: string): Promise<string> {
  await run('cp', ['-r', REAL, join(directory, 'source')]);
  await shell(
    join(directory, 'source'),
    `
    mkdir -p other/empty other/deep/a/b/c/d/e/f
    cd other
    echo 'first name' > linked; ln linked deep/a/linked; ln linked 'third name'
    ln -s linked symlink; ln -s ../.. deep/up; ln -s /nowhere/at/all dangling
    head -c 300000 /dev/urandom > random
    truncate -s 3M sparse; printf end >> sparse
    : > nothing
    mkfifo fifo; mknod null c 1 3; mknod loop b 7 0
    chmod 4755 random; chmod 0 nothing; chmod 1777 empty; chmod 2750 deep
    chown 1234:5678 linked deep; chown -h 4321:8765 symlink
    touch -d '2001-02-03 04:05:06.123456789' nothing deep
    touch -h -d '1955-11-05 06:15:00.5' symlink
    touch -d '2400-01-01 00:00:00.000000001' random
    printf "$(printf 'latin-1 caf\\\\351')" | xargs -0 touch
    `,
  );
  return join(directory, 'source');
}

/**
 * Every file of a tree, sorted: type, mode, owner, links, size, time, target. Directories have no size that two
 * filesystems agree on.
 */
export async function listTree(tree: string): Promise<string> {
  const fields = '%P\\t%y\\t%m\\t%U:%G\\t%n\\t%T@\\t%l';
  const list = await run('find', [
    tree,
    '-type',
    'd',
    '-printf',
    `${fields}\\n`,
    '-o',
    '-printf',
    `${fields}\\t%s\\n`,
  ]);
  return list.split('\n').sort().join('\n');
}

/** What differs between the contents of two trees; empty if nothing does. */
export function differences(one: string, other: string): Promise<string> {
  // Devices and FIFOs have no contents to be read.
  return run('diff', [
    '-r',
    '--no-dereference',
    '--exclude=fifo',
    '--exclude=null',
    '--exclude=loop',
    one,
    other,
  ]);
}
