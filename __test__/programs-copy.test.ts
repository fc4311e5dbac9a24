import { join } from 'node:path';
import { cachedPlaces, places, programTest, run, scratch, shell } from './support/programs.ts';
import { differences, listTree, makeTree } from './support/trees.ts';

for (const place of places) {
  programTest(`cp -a copies a tree in, within and out, and nothing changes (${place})`, [], async (t) => {
    const outside = await scratch(t);
    const dir = await place.mount(t);
    const source = await makeTree(outside);
    const expected = await listTree(source);
    const [first, second, third] = [join(dir, 'first'), join(dir, 'second'), join(outside, 'third')];
    await run('cp', ['-a', source, first]);
    await run('cp', ['-a', first, second]);
    await run('cp', ['-a', second, third]);
    for (const copy of [first, second, third]) {
      t.is(await listTree(copy), expected);
      t.is(await differences(source, copy), '');
    }
    await run('rm', ['-r', first, second]);
    t.is(await run('find', [dir, '-mindepth', '1']), '');
  });

  programTest(`rsync -a --checksum transfers a tree once (${place})`, ['rsync'], async (t) => {
    const outside = await scratch(t);
    const dir = await place.mount(t);
    const source = await makeTree(outside);
    const copy = join(dir, 'copy');
    const sync = (from: string, to: string): Promise<string> =>
      run('rsync', [
        '-aHS',
        '--checksum',
        '--modify-window=-1',
        '--itemize-changes',
        '--delete',
        `${from}/`,
        `${to}/`,
      ]);
    t.regex(await sync(source, copy), /^>f\+{9} package\.json$/m);
    t.is(await sync(source, copy), '');
    t.is(await listTree(copy), await listTree(source));
    t.is(await differences(source, copy), '');

    await shell(copy, 'echo more >> package.json; rm other/symlink; touch new');
    t.deepEqual((await sync(source, copy)).trim().split('\n').sort(), [
      '*deleting   new',
      '.d..t...... ./',
      '.d..t...... other/',
      '>fcst...... package.json',
      'cL+++++++++ other/symlink -> linked',
    ]);
    t.is(await sync(copy, source), '');
  });

  programTest(`tar writes an archive to the mount and unpacks it there (${place})`, ['tar'], async (t) => {
    const outside = await scratch(t);
    const dir = await place.mount(t);
    const source = await makeTree(outside);
    const archive = join(dir, 'archive.tar');
    const unpacked = join(dir, 'unpacked');
    const tar = (...args: string[]): Promise<string> => run('tar', ['--format=posix', '--sparse', ...args]);
    await tar('-C', source, '-cf', archive, '.');
    t.is(await tar('-C', source, '--compare', '-f', archive), '');
    await run('mkdir', [unpacked]);
    await tar('-C', unpacked, '-xpf', archive, '--numeric-owner');
    t.is(await tar('-C', unpacked, '--compare', '-f', archive), '');
    t.is(await listTree(unpacked), await listTree(source));
    t.is(await differences(source, unpacked), '');
    const list = async (tree: string): Promise<string> => {
      await tar('-C', tree, '--sort=name', '-cf', archive, '.');
      return tar('--numeric-owner', '--full-time', '-tvf', archive);
    };
    t.is(await list(unpacked), await list(source));
  });
}

for (const place of cachedPlaces) {
  programTest(
    `extended attributes survive cp -a, rsync -X and tar --xattrs (${place})`,
    ['setfattr', 'getfattr', 'rsync', 'tar'],
    async (t) => {
      const dir = await place.mount(t);
      // ext4 has a block for all attributes of a file.
      await shell(
        dir,
        `
      mkdir source; cd source; mkdir directory; echo contents > file
      setfattr -n user.comment -v 'some words' file
      setfattr -n user.bytes -v 0x00ff80fe0a file
      setfattr -n user.empty file
      setfattr -n trusted.of -v directory directory
      setfattr -n user.large -v "$(head -c ${place.filesystem === 'memory' ? 40_000 : 2000} /dev/zero | tr '\\0' x)" directory
      `,
      );
      const attributes = (tree: string): Promise<string> =>
        run('getfattr', ['-R', '-d', '-m', '-', '-e', 'hex', '.'], { cwd: join(dir, tree) });
      const expected = await attributes('source');
      t.regex(expected, /^user\.bytes=0x00ff80fe0a$/m);
      await shell(
        dir,
        `
      cp -a source copied
      rsync -aX source/ synced
      mkdir unpacked; tar --xattrs --xattrs-include='*' -c -C source . | tar --xattrs --xattrs-include='*' -xp -C unpacked
      `,
      );
      for (const copy of ['copied', 'synced', 'unpacked']) t.is(await attributes(copy), expected, copy);
      await shell(dir, 'setfattr -x user.comment source/file; setfattr -n user.bytes -v short source/file');
      t.notRegex(await attributes('source'), /comment/);
      await t.throwsAsync(shell(dir, 'setfattr -n nonsense.name -v value source/file'), {
        message: /not supported/,
      });
    },
    place.obstacle('setfattr -n user.a -v b .; setfattr -n trusted.a -v b .'),
  );
}
