import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import type { MountOptions } from 'ringfuse';
import { mountOptions } from '#cli/mount-command.js';
import { RunningCommand } from './support/command.ts';
import { mountpoint } from './support/mounted.ts';
import { isMounted } from './support/mounts.ts';
import { over, transport } from './support/transports.ts';

const exec = promisify(execFile);

/** Runs `ringfuse mount memory`, and ends it with the test. */
function mountMemory(t: ExecutionContext, dir: string, ...flags: string[]): RunningCommand {
  const command = new RunningCommand('mount', 'memory', dir, ...flags);
  t.teardown(async () => {
    command.kill('SIGTERM');
    await command.ended;
  });
  return command;
}

test('the flags become options of mount(), over those that suit the filesystem', (t) => {
  const own: MountOptions = {
    entryTimeout: 60,
    attrTimeout: 60,
    defaultPermissions: true,
    optionalCapabilities: ['POSIX_ACL'],
  };
  t.deepEqual(mountOptions(own, { transport: 'auto', cache: 'default' }), {
    ...own,
    transport: 'auto',
  });
  t.deepEqual(mountOptions(own, { transport: 'io_uring', cache: 'none', queueDepth: 4 }), {
    transport: 'io_uring',
    entryTimeout: 0,
    attrTimeout: 0,
    directIo: true,
    optionalCapabilities: ['POSIX_ACL', 'DIRECT_IO_ALLOW_MMAP'],
    queueDepth: 4,
    defaultPermissions: true,
  });
});

test('a command line that is not understood ends with exit code 2', async (t) => {
  for (const args of [
    ['frobnicate'],
    ['mount', 'memory'],
    ['mount', 'memory', '/tmp', '--transport', 'pigeon'],
    ['mount', 'memory', '/tmp', '--queue-depth', 'many'],
  ]) {
    const { code, stderr } = await new RunningCommand(...args).ended;
    t.is(code, 2, args.join(' '));
    t.regex(stderr, /^error: /);
  }
});

test('doctor exits with 0 exactly where it says that a ring mount works', async (t) => {
  const { code, stdout } = await new RunningCommand('doctor', '--json').ended;
  t.is(code, JSON.parse(stdout).ring ? 0 : 1);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test.serial(`mount memory serves files until ${signal}, unmounts and exits with 0`, async (t) => {
    const dir = await mountpoint(t);
    const command = mountMemory(t, dir);
    const line = (await command.firstLine) ?? '';
    t.true(line.startsWith(`ringfuse: mounted ${dir} (${transport}`), line);
    t.true(await isMounted(dir));

    await mkdir(join(dir, 'a'));
    await writeFile(join(dir, 'a/b'), 'contents');
    t.is(await readFile(join(dir, 'a/b'), 'utf8'), 'contents');
    t.deepEqual(await readdir(dir), ['a']);

    command.kill(signal);
    command.kill(signal);
    t.like(await command.ended, { code: 0, stderr: '' });
    t.false(await isMounted(dir));
  });
}

over('io_uring', 'mount memory shows the queues, and the depth that was asked for', async (t) => {
  const dir = await mountpoint(t);
  const command = mountMemory(t, dir, '--queue-depth', '4', '--cache', 'none');
  const line = (await command.firstLine) ?? '';
  const [, queues] = /\(io_uring, (\d+) queues x 4\)$/.exec(line) ?? [];
  t.true(Number(queues) >= availableParallelism(), line);
});

test.serial('mount memory --read-only refuses changes', async (t) => {
  const dir = await mountpoint(t);
  await mountMemory(t, dir, '--read-only').firstLine;
  await t.throwsAsync(writeFile(join(dir, 'file'), ''), { code: 'EROFS' });
});

over('dev_fuse', 'mount memory --transport dev_fuse says why it is not the ring', async (t) => {
  const dir = await mountpoint(t);
  const command = mountMemory(t, dir, '--transport', 'dev_fuse');
  t.regex((await command.firstLine) ?? '', /^ringfuse: mounted .* \(dev_fuse: .+\)$/);
  await writeFile(join(dir, 'file'), 'contents');
  t.is(await readFile(join(dir, 'file'), 'utf8'), 'contents');
});

test.serial('mount memory ends with 0 when somebody else unmounts', async (t) => {
  const dir = await mountpoint(t);
  const command = mountMemory(t, dir);
  await command.firstLine;
  await exec('umount', [dir]);
  t.like(await command.ended, { code: 0, stderr: '' });
});

test.serial('mount memory on a path that does not exist says so in one line and exits with 1', async (t) => {
  const dir = await mountpoint(t);
  const missing = join(dir, 'missing');
  const { code, stderr, stdout } = await new RunningCommand('mount', 'memory', missing).ended;
  t.is(code, 1);
  t.is(stdout, '');
  t.true(stderr.startsWith('ringfuse: ') && stderr.includes(missing));
  t.is(stderr.trim().split('\n').length, 1);
});
