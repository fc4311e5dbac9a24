/** `docs/security.md`, line by line: each title is one of its lines. */

import { execFile } from 'node:child_process';
import {
  chmod,
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type MirrorOptions, memory, memoryMountOptions, mirror } from '@ringfuse/fs';
import type { ExecutionContext } from 'ava';
import type { MountOptions, Transport } from 'ringfuse';
import { mirrored } from './support/mirrors.ts';
import { mounted } from './support/mounted.ts';
import { notRoot, noUser, noUserNamespace, userMounter } from './support/mounting.ts';
import { noPython } from './support/python.ts';
import { recording } from './support/recorder.ts';
import { systemCalls } from './support/system-calls.ts';
import { Table } from './support/table.ts';

const exec = promisify(execFile);

/** A line of the page. */
interface Line {
  readonly kind: 'others' | 'options' | 'mirror' | 'source' | 'memory';
  readonly name: string;
}

const table = new Table<Line>('security');

function line(
  kind: Line['kind'],
  name: string,
  body: (t: ExecutionContext, transport: Transport) => Promise<void>,
  missing: string | undefined = notRoot ?? noPython,
): void {
  table.test(name, [{ kind, name }], body, { missing });
}

/** Another user than root, without any privilege. */
const UID = 1001;

/** Makes a program of `systemCalls` that user. */
const BECOME = `
os.umask(0o022); os.setgroups([]); os.setresgid(${UID}, ${UID}, ${UID}); os.setresuid(${UID}, ${UID}, ${UID})
`;

/** Runs a program as that user; resolves to what it said. */
function asOther(t: ExecutionContext, code: string, dir: string): Promise<unknown> {
  return systemCalls(t, BECOME + code, dir);
}

/** memory() with everybody let in. */
async function shared(t: ExecutionContext, options: MountOptions = {}): Promise<string> {
  return (await mounted(t, memory(), { ...memoryMountOptions, allowOther: true, ...options })).dir;
}

/** Each kind of mirror, with what the kernel does itself in one and leaves to the server in another. */
const mirrors: { readonly [kind: string]: MirrorOptions } = {
  passthrough: {},
  'no passthrough': { passthrough: false },
  writeback: { writeback: true },
  'direct I/O': { directIo: true },
};

/** A private file of root's in `dir`. */
async function secret(dir: string): Promise<string> {
  const file = join(dir, 'secret');
  await writeFile(file, 'secret', { mode: 0o600 });
  return file;
}

line(
  'others',
  'Without `allowOther`, no other user gets in, whatever the modes say. The filesystem is not asked.',
  async (t, transport) => {
    const { dir, recorder } = await recording(t, transport, {});
    t.is(await asOther(t, "say(attempt(os.stat, at('file')))", dir), 'EACCES');
    t.deepEqual(recorder.callers('lookup'), []);
  },
);

line(
  'others',
  'Without `allowOther`, root does not get into the mount of an ordinary user either.',
  async (t) => {
    const { mounter, dir } = await userMounter(t, {});
    const { pid } = await mounter.next();
    const script = `nsenter --target ${pid} --mount stat ${dir}`;
    await t.throwsAsync(exec('sh', ['-c', script], { env: { ...process.env, LC_ALL: 'C' } }), {
      message: /Permission denied/,
    });
  },
  notRoot ?? noUser,
);

line(
  'others',
  'With `allowOther`, other users have the rights that mode, owner and group give them: the kernel checks before it asks the filesystem.',
  async (t) => {
    const { dir } = await mounted(t, memory(), { allowOther: true });
    await secret(dir);
    await writeFile(join(dir, 'public'), 'public', { mode: 0o644 });
    const code = `
say([attempt(os.open, at('secret'), os.O_RDONLY), open(at('public')).read(), attempt(os.open, at('public'), os.O_WRONLY),
     attempt(os.unlink, at('public')), attempt(os.chmod, at('public'), 0o666), attempt(os.mkdir, at('new'))])`;
    t.deepEqual(await asOther(t, code, dir), ['EACCES', 'public', 'EACCES', 'EACCES', 'EPERM', 'EACCES']);
  },
);

line(
  'others',
  'With `allowOther` and `defaultPermissions: false`, the kernel checks nothing. Every request names the caller, and the filesystem has to check.',
  async (t) => {
    const dir = await shared(t, { defaultPermissions: false });
    await secret(dir);
    t.is(await asOther(t, "say(open(at('secret')).read())", dir), 'secret');
  },
);

line('others', 'Access control lists are checked wherever the kernel checks permissions.', async (t) => {
  const dir = await shared(t);
  const file = await secret(dir);
  // user::rw-, user:1001:r--, group::---, mask::r--, other::---
  const acl = [
    [1, 6, 0xffffffff],
    [2, 4, UID],
    [4, 0, 0xffffffff],
    [0x10, 4, 0xffffffff],
    [0x20, 0, 0xffffffff],
  ];
  const code = `os.setxattr(path, 'system.posix_acl_access', struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in ${JSON.stringify(acl)}))`;
  await systemCalls(t, code, file);
  t.deepEqual(
    await asOther(t, "say([open(at('secret')).read(), attempt(os.open, at('secret'), os.O_WRONLY)])", dir),
    ['secret', 'EACCES'],
  );
});

line(
  'others',
  'A mount in a user namespace is closed to everybody outside of it, root included, with `allowOther` as well.',
  async (t) => {
    const { mounter, dir } = await userMounter(
      t,
      { allowOther: true },
      { through: ['unshare', '--user', '--map-root-user', '--mount'] },
    );
    const { pid } = await mounter.next();
    const script = `nsenter --target ${pid} --mount stat ${dir}`;
    await t.throwsAsync(exec('sh', ['-c', script], { env: { ...process.env, LC_ALL: 'C' } }), {
      message: /Permission denied/,
    });
  },
  notRoot ?? noUserNamespace,
);

line(
  'options',
  '`suid: true` makes set-user-ID programs of the mount run as their owner. Without it they run as their caller.',
  async (t) => {
    for (const suid of [false, true]) {
      const dir = await shared(t, { suid });
      const program = join(dir, 'id');
      await copyFile('/usr/bin/id', program);
      await chmod(program, 0o4755);
      const other = ['--reuid', `${UID}`, '--regid', `${UID}`, '--clear-groups'];
      const { stdout } = await exec('setpriv', [...other, program, '-u']);
      t.is(stdout.trim(), suid ? '0' : `${UID}`);
    }
  },
);

line(
  'options',
  '`dev: true` makes device files of the mount work. Without it nobody can open one, root included.',
  async (t) => {
    for (const dev of [false, true]) {
      const dir = await shared(t, { dev });
      await exec('mknod', ['-m', '666', join(dir, 'null'), 'c', '1', '3']);
      const code = "r = attempt(os.open, at('null'), os.O_RDONLY); say(r if isinstance(r, str) else 'open')";
      t.is(await systemCalls(t, code, dir), dev ? 'open' : 'EACCES');
    }
  },
);

line(
  'options',
  '`exec: false` refuses to execute files of the mount. By default they can be executed.',
  async (t) => {
    for (const allowed of [false, true]) {
      const dir = await shared(t, { exec: allowed });
      await copyFile('/bin/true', join(dir, 'true'));
      // A shell executes it: a child of the process that serves the mount would hold it up meanwhile.
      const run = exec('sh', ['-c', `exec ${join(dir, 'true')}`], { env: { ...process.env, LC_ALL: 'C' } });
      if (allowed) await t.notThrowsAsync(run);
      else await t.throwsAsync(run, { message: /Permission denied/ });
    }
  },
);

line(
  'options',
  '`symfollow: false` follows no symbolic link of the mount. By default they lead where they say, in the root directory of the caller.',
  async (t) => {
    for (const symfollow of [false, true]) {
      const dir = await shared(t, { symfollow });
      await symlink('/proc/self/status', join(dir, 'link'));
      const code = "r = attempt(os.open, at('link'), os.O_RDONLY); say(r if isinstance(r, str) else 'open')";
      t.is(await asOther(t, code, dir), symfollow ? 'open' : 'ELOOP');
    }
  },
);

line(
  'options',
  '`readOnly: true` refuses every change, before the filesystem is asked.',
  async (t, transport) => {
    const { dir, recorder } = await recording(t, transport, {}, { readOnly: true });
    t.is(await systemCalls(t, "say(attempt(os.mkdir, at('new')))", dir), 'EROFS');
    t.deepEqual(recorder.callers('mkdir'), []);
  },
);

line(
  'options',
  'A mirror with passthrough lets nobody open what it would not let them open without: the kernel checks the same modes, and only files that are open are passed through.',
  async (t) => {
    for (const options of Object.values(mirrors)) {
      const { source, dir } = await mirrored(t, options);
      await secret(source);
      await writeFile(join(source, 'public'), 'public', { mode: 0o644 });
      const code =
        "say([attempt(os.open, at('secret'), os.O_RDONLY), open(at('public')).read(), attempt(os.open, at('public'), os.O_WRONLY)])";
      t.deepEqual(await asOther(t, code, dir), ['EACCES', 'public', 'EACCES']);
    }
  },
);

/** Gives a file a capability, and makes changes of owner to nobody else. */
const CAPABLE =
  "os.setxattr(at('capable'), 'security.capability', struct.pack('<5I', 0x02000000, 1, 0, 0, 0))";
const CHOWN_NOBODY = "say([attempt(os.chown, at(name), -1, -1) for name in ('bits', 'capable')])";

line(
  'options',
  'A write by another user takes set-user-ID bits away, with `passthrough`, `writeback` and `directIo` as without.',
  async (t) => {
    for (const [kind, options] of Object.entries(mirrors)) {
      const { source, dir } = await mirrored(t, options, { suid: true });
      await writeFile(join(source, 'program'), 'before');
      await chmod(join(source, 'program'), 0o4777);
      await asOther(
        t,
        "f = os.open(at('program'), os.O_WRONLY); os.write(f, b'after'); os.fsync(f); os.close(f)",
        dir,
      );
      t.is((await stat(join(source, 'program'))).mode & 0o7777, 0o777, kind);
    }
  },
);

line(
  'options',
  '`kernelFilesystems: true` of a mirror shows procfs, sysfs and their like with the rights of the server, to all whom the modes let in. Without it they are refused with EACCES, as the source and in it.',
  async (t) => {
    t.throws(() => mirror('/proc'), { code: 'EACCES' });
    // Addresses of the kernel, which are zeros for users.
    const code = "say(any(int(line.split()[0], 16) for line in open(at('kallsyms'))))";
    t.is(await asOther(t, code, '/proc'), false);
    const options = { kernelFilesystems: true, directIo: true };
    const { dir } = await mirrored(t, options, {}, { source: '/proc' });
    t.is(await asOther(t, code, dir), true);
  },
);

line(
  'mirror',
  'The rights in a mirror are those of the modes from the source down. A directory above the source that nobody may enter protects nothing in the mirror.',
  async (t) => {
    const above = await mkdtemp(join(tmpdir(), 'ringfuse-source-'));
    t.teardown(() => rm(above, { recursive: true, force: true }));
    await chmod(above, 0o700);
    const source = join(above, 'source');
    await mkdir(source, { mode: 0o755 });
    await writeFile(join(source, 'file'), 'contents', { mode: 0o644 });
    const { dir } = await mirrored(t, {}, {}, { source });
    t.is(await asOther(t, "say(attempt(os.stat, at('file')))", source), 'EACCES');
    t.is(await asOther(t, "say(open(at('file')).read())", dir), 'contents');
  },
);

line('mirror', 'What a user makes belongs to that user, with the mode that the umask leaves.', async (t) => {
  for (const [kind, options] of Object.entries(mirrors)) {
    const { source, dir } = await mirrored(t, options);
    await chmod(source, 0o1777);
    const code = `
os.umask(0o027)
os.close(os.open(at('file'), os.O_CREAT | os.O_WRONLY, 0o666)); os.mkdir(at('directory'), 0o777); os.mkfifo(at('fifo'), 0o666)
os.symlink('file', at('link'))`;
    await asOther(t, code, dir);
    const owned = { uid: UID, gid: UID };
    for (const [name, mode] of [
      ['file', 0o640],
      ['directory', 0o750],
      ['fifo', 0o640],
    ] as const) {
      const found = await stat(join(source, name));
      t.like(found, owned, `${kind}: ${name}`);
      t.is(found.mode & 0o7777, mode, `${kind}: ${name}`);
    }
  }
});

line(
  'mirror',
  'Another user can neither list nor read `trusted.*` attributes, set neither these nor `security.*`, and not give a file away. `security.*` can be read, as on the source.',
  async (t) => {
    const { source, dir } = await mirrored(t, { timeout: 0 });
    await chmod(source, 0o1777);
    const code = `
os.close(os.open(at('own'), os.O_CREAT | os.O_WRONLY, 0o666))
say([attempt(os.setxattr, at('own'), 'trusted.x', b'x'), attempt(os.getxattr, at('own'), 'trusted.x'),
     attempt(os.setxattr, at('own'), 'security.capability', struct.pack('<5I', 0x02000000, 0, 0, 0, 0)), attempt(os.chown, at('own'), 0, 0), os.listxattr(at('own'))])`;
    await asOther(t, "os.close(os.open(at('own'), os.O_CREAT | os.O_WRONLY, 0o666))", dir);
    await systemCalls(t, "os.setxattr(at('own'), 'trusted.x', b'hidden')", source).catch(() => undefined);
    t.deepEqual(await asOther(t, code, dir), ['EPERM', 'ENODATA', 'EPERM', 'EPERM', []]);
    const capability =
      "os.setxattr(at('own'), 'security.capability', struct.pack('<5I', 0x02000000, 0x2000, 0, 0, 0))";
    await systemCalls(t, capability, source);
    const read = "say([os.listxattr(at('own')), len(os.getxattr(at('own'), 'security.capability'))])";
    t.deepEqual(await asOther(t, read, dir), [['security.capability'], 20]);
  },
);

line(
  'mirror',
  'A change of owner to nobody else, `chown(path, -1, -1)`, takes neither set-user-ID bits nor capabilities from a file of root, unless someone has the file open for writing in a mirror with `passthrough`.',
  async (t) => {
    for (const [kind, options] of Object.entries(mirrors)) {
      const { source, dir } = await mirrored(t, options, { suid: true });
      for (const name of ['bits', 'capable']) await writeFile(join(source, name), 'program');
      await systemCalls(t, CAPABLE, source);
      await chmod(join(source, 'bits'), 0o4755);
      t.deepEqual(await asOther(t, CHOWN_NOBODY, dir), [null, 'EPERM'], kind);
      t.is((await stat(join(source, 'bits'))).mode & 0o7777, 0o4755, kind);
      t.deepEqual(await systemCalls(t, "say(os.listxattr(at('capable')))", source), ['security.capability']);
    }
  },
);

line(
  'mirror',
  'Where the source is mounted `noexec`, its files cannot be executed in the mirror.',
  async (t) => {
    const source = await mkdtemp(join(tmpdir(), 'ringfuse-source-'));
    await exec('mount', ['-t', 'tmpfs', '-o', 'noexec,mode=0755', 'none', source]);
    t.teardown(async () => {
      await exec('umount', ['-l', source]);
      await rm(source, { recursive: true });
    });
    await copyFile('/bin/true', join(source, 'true'));
    const { dir } = await mirrored(t, {}, {}, { source });
    const run = exec('sh', ['-c', `exec ${join(dir, 'true')}`], { env: { ...process.env, LC_ALL: 'C' } });
    await t.throwsAsync(run, { message: /Permission denied/ });
  },
);

line(
  'mirror',
  'A hard link needs the rights that the kernel asks for anywhere: with fs.protected_hardlinks, nobody links a file that they could not write.',
  async (t) => {
    const { source, dir } = await mirrored(t);
    await chmod(source, 0o1777);
    const file = await secret(source);
    await link(file, join(source, 'second'));
    const limit = (await readFile('/proc/sys/fs/protected_hardlinks', 'utf8')).trim();
    const outcome = await asOther(t, "say(attempt(os.link, at('secret'), at('third')))", dir);
    t.is(outcome, limit === '1' ? 'EPERM' : null);
  },
);

line(
  'mirror',
  'Above its root there is nothing of the source: `..` of the root is the directory that the mountpoint is in.',
  async (t) => {
    const { source, dir } = await mirrored(t);
    const inode = async (path: string): Promise<number> => (await stat(path)).ino;
    t.is(await inode(join(dir, '..')), await inode(join(dir, '../.')));
    t.not((await stat(join(dir, '..'))).dev, (await stat(dir)).dev);
    t.is(
      await systemCalls(t, "say(os.stat(at('..')).st_ino == os.stat(os.path.dirname(path)).st_ino)", dir),
      true,
    );
    t.truthy(source);
  },
);

line(
  'mirror',
  'A mirror that is mounted in its own source does not contain itself: EDEADLK there.',
  async (t) => {
    const { source } = await mirrored(t);
    const inside = join(source, 'inside');
    await mkdir(inside);
    await mirrored(t, {}, {}, { source, dir: inside });
    t.is(await systemCalls(t, "say(attempt(os.listdir, at('inside')))", inside), 'EDEADLK');
  },
);

line(
  'mirror',
  'Who lost a file directly on the source cannot change its mode, group, ACL or times in the mirror, and who lost a directory cannot change names in it, also while the kernel above has the old owner in its cache.',
  async (t) => {
    const { source, dir } = await mirrored(t, { timeout: 3600 });
    await chmod(source, 0o1777);
    const make = "os.mkdir(at('dir')); os.close(os.open(at('dir/own'), os.O_CREAT | os.O_WRONLY, 0o755))";
    await asOther(t, make, dir);
    await systemCalls(t, "os.chown(at('dir'), 0, 0); os.chown(at('dir/own'), 0, 0)", source);
    const code = `
say([attempt(os.chmod, at('dir/own'), 0o4755), attempt(os.chown, at('dir/own'), -1, ${UID}), attempt(os.utime, at('dir/own'), (1, 1)),
     attempt(os.unlink, at('dir/own')), attempt(os.mkdir, at('dir/new'))])`;
    t.deepEqual(await asOther(t, code, dir), ['EPERM', 'EPERM', 'EPERM', 'EACCES', 'EACCES']);
  },
);

line(
  'mirror',
  'A sticky directory protects the file that has the name now, whatever had it before.',
  async (t) => {
    const { source, dir } = await mirrored(t, { timeout: 3600 });
    await chmod(source, 0o1777);
    await asOther(t, "os.close(os.open(at('name'), os.O_CREAT | os.O_WRONLY, 0o644))", dir);
    await systemCalls(t, "os.unlink(at('name')); open(at('name'), 'w').close()", source);
    const code = "say([attempt(os.unlink, at('name')), attempt(os.rename, at('name'), at('other'))])";
    t.deepEqual(await asOther(t, code, dir), ['EPERM', 'EPERM']);
  },
);

line(
  'source',
  'A directory that a user of the source replaces by a symbolic link leads nowhere in the mirror that it does not lead for the caller: the server follows no link.',
  async (t) => {
    const { source, dir } = await mirrored(t, {}, { symfollow: false });
    const outside = await mkdtemp(join(tmpdir(), 'ringfuse-source-'));
    t.teardown(() => rm(outside, { recursive: true, force: true }));
    await writeFile(join(outside, 'file'), 'outside');
    await mkdir(join(source, 'directory'));
    await writeFile(join(source, 'directory/file'), 'inside');
    // With symfollow off, only a server that follows the link could show 'outside'.
    const code = `
import subprocess
swap = '''
import os, sys
os.symlink(sys.argv[2], sys.argv[1] + '/link')
import ctypes
libc = ctypes.CDLL(None)
a, b = (sys.argv[1] + '/' + n for n in ('directory', 'link'))
while True: libc.renameat2(-100, a.encode(), -100, b.encode(), 2)
'''
swapper = subprocess.Popen([sys.executable, '-c', swap, sys.argv[2], sys.argv[3]])
found = set()
end = time.monotonic() + 2
while time.monotonic() < end:
    try: found.add(open(at('directory/file')).read())
    except OSError as error: pass
swapper.kill(); swapper.wait()
say(sorted(found))`;
    t.deepEqual(await systemCalls(t, code, dir, source, outside), ['inside']);
  },
);

line(
  'source',
  'What is removed from the source stays readable for programs that have it open, and for no other.',
  async (t) => {
    const { source, dir } = await mirrored(t, { timeout: 0 });
    await writeFile(join(source, 'file'), 'contents', { mode: 0o644 });
    const code = `
held = os.open(at('file'), os.O_RDONLY)
os.unlink(os.path.join(sys.argv[2], 'file'))
say([os.read(held, 100).decode(), attempt(os.open, at('file'), os.O_RDONLY)])`;
    t.deepEqual(await systemCalls(t, code, dir, source), ['contents', 'ENOENT']);
  },
);

line(
  'memory',
  'memory() gives nobody the bytes of another file: what was never written, or was cut off, reads as zeros.',
  async (t) => {
    const dir = await shared(t, { directIo: true });
    const code = `
f = os.open(at('file'), os.O_CREAT | os.O_RDWR, 0o600)
os.write(f, b'x' * 100000); os.ftruncate(f, 10); os.ftruncate(f, 100000)
say(os.pread(f, 100000, 0) == b'x' * 10 + b'\\0' * 99990)`;
    t.is(await systemCalls(t, code, dir), true);
  },
);

line(
  'memory',
  'One user can fill memory(): there is no limit for each user. What does not fit is ENOSPC, and the filesystem goes on.',
  async (t) => {
    const { dir } = await mounted(t, memory({ size: 1 << 20, mode: 0o1777 }), {
      ...memoryMountOptions,
      allowOther: true,
    });
    const code = `
f = os.open(at('file'), os.O_CREAT | os.O_RDWR, 0o600)
say(attempt(lambda: [os.write(f, b'x' * 65536) for _ in range(64)]))`;
    t.is(await asOther(t, code, dir), 'ENOSPC');
    await rm(join(dir, 'file'));
    await writeFile(join(dir, 'other'), 'fits');
    t.is(await readFile(join(dir, 'other'), 'utf8'), 'fits');
  },
);
