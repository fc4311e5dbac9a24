import { constants } from 'node:fs';
import { write } from './files.ts';
import type { Inode } from './inode.ts';
import type { Tree } from './tree.ts';

const { S_IFDIR, S_IFREG } = constants;

/** Makes files, by path from the root, and the directories that they are in. */
export function populate(tree: Tree, files: Readonly<Record<string, string | Uint8Array>>): void {
  const { uid, gid } = tree.root;
  const directory = (parent: Inode, name: string): Inode =>
    tree.find(parent, name) ?? tree.make(parent, name, { mode: S_IFDIR | 0o755, uid, gid });
  for (const [path, contents] of Object.entries(files)) {
    const names = path.split('/');
    const name = names.pop() ?? '';
    const parent = names.filter((part) => part !== '').reduce(directory, tree.root);
    if (name === '') continue;
    const file = tree.make(parent, name, { mode: S_IFREG | 0o644, uid, gid });
    const data = typeof contents === 'string' ? Buffer.from(contents) : contents;
    if (data.length > 0) write(file, 0, data, true, tree.clock.now());
  }
}
