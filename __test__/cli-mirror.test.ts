import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { mirrorOptions } from '#cli/mirror.js';
import { RunningCommand } from './support/command.ts';
import { directory } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { isMounted } from './support/mounts.ts';

test('the flags become options of mirror()', (t) => {
  const flags = { transport: 'auto', cache: 'default', passthrough: true } as const;
  t.deepEqual(mirrorOptions(flags), { timeout: undefined, writeback: undefined });
  t.deepEqual(mirrorOptions({ ...flags, passthrough: false, timeout: 5 }), {
    timeout: 5,
    writeback: undefined,
    passthrough: false,
  });
  t.deepEqual(mirrorOptions({ ...flags, cache: 'none' }), { timeout: 0, directIo: true });
});

for (const flags of [[], ['--workers', '2'], ['--no-passthrough'], ['--cache', 'none'], ['--writeback']]) {
  test.serial(`mount mirror ${flags.join(' ')} serves a directory, its permissions checked`, async (t) => {
    const source = await directory(t);
    const dir = await mountpoint(t);
    await writeFile(join(source, 'file'), 'beneath');
    const command = new RunningCommand('mount', 'mirror', source, dir, ...flags);
    t.teardown(() => command.kill('SIGTERM'));
    t.regex((await command.firstLine) ?? '', /^ringfuse: mounted /);
    t.is(await readFile(join(dir, 'file'), 'utf8'), 'beneath');
    await writeFile(join(dir, 'new'), 'through');
    const mounts = await readFile('/proc/self/mounts', 'utf8');
    t.regex(mounts, new RegExp(`^${source} ${dir} fuse.mirror .*default_permissions`, 'm'));
    command.kill('SIGTERM');
    t.like(await command.ended, { code: 0, stderr: '' });
    t.false(await isMounted(dir));
    t.is(await readFile(join(source, 'new'), 'utf8'), 'through');
  });
}

test.serial('mount mirror of a directory that is not there ends with 1', async (t) => {
  const { code, stderr } = await new RunningCommand('mount', 'mirror', '/nowhere/at/all', '/tmp').ended;
  t.is(code, 1);
  t.is(stderr, 'ringfuse: mirror: /nowhere/at/all cannot be opened as a directory: ENOENT\n');
});
