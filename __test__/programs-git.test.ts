import { join } from 'node:path';
import { places, programTest, run, scratch, shell } from './support/programs.ts';
import { makeTree } from './support/trees.ts';

/** git without this machine's configuration. */
const env = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Author',
  GIT_AUTHOR_EMAIL: 'author@example.org',
  GIT_COMMITTER_NAME: 'Committer',
  GIT_COMMITTER_EMAIL: 'committer@example.org',
};

for (const place of places) {
  programTest(`git clones, commits, packs and finds no fault (${place})`, ['git'], async (t) => {
    const outside = await scratch(t);
    const dir = await place.mount(t);
    const git = (cwd: string, ...args: string[]): Promise<string> => run('git', args, { cwd, env });
    const source = await makeTree(outside);
    await shell(
      source,
      `
      rm other/fifo other/null other/loop
      chmod 644 other/nothing
      find . -type d -empty -delete
      git init -q -b main .
      git add .; git commit -qm first
      git checkout -qb side; git mv package.json moved.json; git commit -qm side
      git checkout -q main; echo more >> package.json; git commit -qam second
      `,
      env,
    );
    const head = await git(source, 'rev-parse', 'HEAD');

    const clone = join(dir, 'clone');
    await git(dir, 'clone', '-q', `file://${source}`, clone);
    t.is(await git(clone, 'rev-parse', 'HEAD'), head);
    t.is(await git(clone, 'status', '--porcelain'), '');
    t.is(await git(clone, 'fsck', '--full', '--strict'), '');
    t.is(await run('diff', ['-r', '--no-dereference', '--exclude=.git', source, clone]), '');

    await git(clone, 'merge', '-q', '--no-edit', 'origin/side');
    await shell(clone, 'mkdir new; echo file > new/file; git rm -q index.d.ts; git add new', env);
    t.is(await git(clone, 'status', '--porcelain'), 'D  index.d.ts\nA  new/file\n');
    await git(clone, 'commit', '-qm', 'third');
    await git(clone, 'gc', '-q', '--prune=now', '--aggressive');
    t.is(await git(clone, 'count-objects', '-v').then((text) => /^count: (\d+)$/m.exec(text)?.[1]), '0');
    t.is(await git(clone, 'status', '--porcelain'), '');
    t.is(await git(clone, 'fsck', '--full', '--strict'), '');

    await git(clone, 'worktree', 'add', '-q', join(dir, 'worktree'), 'HEAD~1');
    t.is(await git(join(dir, 'worktree'), 'status', '--porcelain'), '');
    await git(dir, 'clone', '-q', clone, 'hard links');
    t.is(
      await git(join(dir, 'hard links'), 'log', '--format=%s'),
      "third\nMerge remote-tracking branch 'origin/side'\nsecond\nside\nfirst\n",
    );
    t.is(await git(join(dir, 'hard links'), 'fsck', '--full', '--strict'), '');
  });
}
