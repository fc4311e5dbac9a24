/** Rights that somebody lost directly on the source, while the kernel above still knows them. */

import type { MirrorOptions } from '@ringfuse/fs';
import type { ExecutionContext } from 'ava';
import { mount, serve } from 'ringfuse';
import { directory, mirrored } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { notRoot } from './support/mounting.ts';
import { programTest } from './support/programs.ts';
import { mirrorServer } from './support/servers.ts';
import { systemCalls } from './support/system-calls.ts';
import { transport } from './support/transports.ts';

/** What the kernel learns of a file it knows for the whole test. */
const KNOWN: MirrorOptions = { timeout: 3600 };

const ways: Readonly<Record<string, MirrorOptions>> = {
  'with passthrough': KNOWN,
  'without passthrough': { ...KNOWN, passthrough: false },
  'with file handles': { ...KNOWN, descriptors: 0 },
  'with write-back cache': { ...KNOWN, writeback: true },
};

/** `beneath(name)` is a path in the source, `acting` makes a call as a user, `shown` is what a file has. */
const PRELUDE = `
import stat as modes
source = sys.argv[2]
os.umask(0o022)
NONE = 0xffffffff
MEMBER = (1000, 1000, [2000])
STRANGER = (1000, 1000, [])
def beneath(name):
    return os.path.join(source, name)
def acting(user, function, *args, **named):
    uid, gid, groups = user
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.setgroups(groups); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid); os.umask(0)
        result = attempt(function, *args, **named)
        os.write(write, json.dumps(result if isinstance(result, (str, int)) else None).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as result: said = json.load(result)
    os.waitpid(child, 0)
    return said
def made(name, uid=1000, gid=1000, mode=0o755):
    with open(beneath(name), 'w') as file: file.write('contents')
    os.chown(beneath(name), uid, gid); os.chmod(beneath(name), mode)
def shown(name):
    of = os.stat(beneath(name))
    return [of.st_uid, of.st_gid, oct(of.st_mode), of.st_nlink, sorted(os.listxattr(beneath(name)))]
acl = struct.pack('<I', 2) + b''.join(
    struct.pack('<HHI', *e) for e in ((1, 7, NONE), (2, 6, 1000), (4, 5, NONE), (16, 7, NONE), (32, 5, NONE)))
def closing(fd): os.close(fd)
`;

/** Programs as {@link systemCalls}, told of the mirror and the source. */
async function inMirror(t: ExecutionContext, options: MirrorOptions, code: string): Promise<unknown> {
  const { dir, source } = await mirrored(t, options);
  return await systemCalls(t, PRELUDE + code, dir, source);
}

/** The same on a directory, where nothing is remembered. */
async function onDirectory(t: ExecutionContext, code: string): Promise<unknown> {
  const source = await directory(t);
  return await systemCalls(t, PRELUDE + code, source, source);
}

const FORMER_OWNER = `
def flags(name, value):
    fd = os.open(name, os.O_RDONLY)
    try: fcntl.ioctl(fd, 0x40086602, struct.pack('<q', value))
    finally: os.close(fd)
changes = {
    'set-user-ID': lambda name: os.chmod(name, 0o4777),
    'mode': lambda name: os.chmod(name, 0o777),
    'group': lambda name: os.chown(name, -1, 1000),
    'ACL': lambda name: os.setxattr(name, 'system.posix_acl_access', acl),
    'no ACL': lambda name: os.removexattr(name, 'system.posix_acl_access'),
    'flags': lambda name: flags(name, 0x80),
    'times': lambda name: os.utime(name, (1, 1)),
}
seen = []
for title, change in changes.items():
    if title == 'times' and 'no times' in sys.argv: continue
    made(title)
    if title == 'no ACL': os.setxattr(beneath(title), 'system.posix_acl_access', acl)
    acting(STRANGER, os.stat, at(title))
    os.chown(beneath(title), 0, 0)
    if title == 'no ACL': os.setxattr(beneath(title), 'system.posix_acl_access', acl)
    seen.append([title, acting(STRANGER, change, at(title)), shown(title)])
say(seen)
`;

const OWNER = `
os.mkdir(beneath('dir')); os.chown(beneath('dir'), 1000, 2000)
seen = []
for mode in (0o755, 0o2755, 0o6755):
    for group in (1000, 2000, 3000):
        for user in (MEMBER, STRANGER):
            for title, change in {
                'chmod': lambda name: os.chmod(name, 0o2750),
                'chmod 4755': lambda name: os.chmod(name, 0o4755),
                'chgrp': lambda name: os.chown(name, -1, 2000),
                'chown': lambda name: os.chown(name, 1001, -1),
                'ACL': lambda name: os.setxattr(name, 'system.posix_acl_access', acl),
                'xattr': lambda name: os.setxattr(name, 'user.a', b'b'),
                'times': lambda name: os.utime(name, (1, 1)),
                'now': lambda name: os.utime(name),
                'link': lambda name: os.link(name, name + '2'),
            }.items():
                made('file', 1000, group, mode)
                seen.append([oct(mode), group, title, acting(user, change, at('file')), shown('file')])
                os.unlink(at('file'))
                attempt(os.unlink, beneath('file2'))
say(seen)
`;

const STICKY = `
os.mkdir(beneath('t')); os.chmod(beneath('t'), 0o1777)
os.mkdir(beneath('own')); os.chown(beneath('own'), 1000, 1000)
AT_FDCWD, EXCHANGE = -100, 2
def exchange(a, b): call(316, AT_FDCWD, a.encode(), AT_FDCWD, b.encode(), EXCHANGE)
changes = {
    'unlink': lambda: os.unlink(at('t/a')),
    'rename': lambda: os.rename(at('t/a'), at('t/b')),
    'rename away': lambda: os.rename(at('t/a'), at('own/b')),
    'rename over': lambda: os.rename(at('t/own'), at('t/a')),
    'exchange': lambda: exchange(at('t/own'), at('t/a')),
    'exchange back': lambda: exchange(at('t/a'), at('t/own')),
    'rmdir': lambda: os.rmdir(at('t/a')),
}
seen = []
for title, change in changes.items():
    make = os.mkdir if title == 'rmdir' else lambda path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    for name in ('t/a', 't/own'):
        make(beneath(name)); os.chown(beneath(name), 1000, 1000)
        acting(STRANGER, os.stat, at(name))
    (os.rmdir if title == 'rmdir' else os.unlink)(beneath('t/a'))
    make(beneath('t/a')); os.chmod(beneath('t/a'), 0o600)
    before = os.stat(beneath('t/a')).st_ino
    seen.append([title, acting(STRANGER, change), os.stat(beneath('t/a')).st_ino == before])
    for name in ('t/a', 't/own'): (os.rmdir if title == 'rmdir' else os.unlink)(beneath(name))
say(seen)
`;

const CREATION = `
def creat(name): os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o2775))
def mknod(name): os.mknod(name, modes.S_IFREG | 0o2775)
def tmpfile(name):
    fd = os.open(os.path.dirname(name), os.O_TMPFILE | os.O_WRONLY, 0o2775)
    os.link(f'/proc/self/fd/{fd}', name, src_dir_fd=0, follow_symlinks=True)
    os.close(fd)
seen = []
for way in (creat, mknod, tmpfile):
    for who, user in {'member': MEMBER, 'stranger': STRANGER}.items():
        name = f'{way.__name__}-{who}'
        os.mkdir(beneath(name)); os.chmod(beneath(name), 0o777)
        acting(user, os.stat, at(name))
        os.chown(beneath(name), 0, 2000); os.chmod(beneath(name), 0o2777)
        seen.append([name, acting(user, way, at(name + '/x')), shown(name + '/x')])
say(seen)
`;

const DIRECTORY = `
os.mkdir(beneath('own')); os.chown(beneath('own'), 1000, 1000)
changes = {
    'creat': lambda dir: os.close(os.open(dir + '/x', os.O_CREAT | os.O_EXCL | os.O_WRONLY)),
    'mkdir': lambda dir: os.mkdir(dir + '/x'),
    'mknod': lambda dir: os.mknod(dir + '/x', modes.S_IFIFO | 0o666),
    'symlink': lambda dir: os.symlink('y', dir + '/x'),
    'tmpfile': lambda dir: closing(os.open(dir, os.O_TMPFILE | os.O_WRONLY)),
    'link': lambda dir: os.link(dir + '/file', dir + '/x'),
    'unlink': lambda dir: os.unlink(dir + '/file'),
    'rename': lambda dir: os.rename(dir + '/file', dir + '/x'),
    'move': lambda dir: os.rename(dir + '/file', at('own/' + os.path.basename(dir))),
    'rmdir': lambda dir: os.rmdir(dir + '/empty'),
}
seen = []
for when in ('former', 'member', 'former member'):
    for title, change in changes.items():
        name = f'{when} {title}'
        os.mkdir(beneath(name)); os.mkdir(beneath(name + '/empty')); os.chown(beneath(name + '/empty'), 1000, 1000)
        made(name + '/file')
        owner, group, mode = (1000, 1000, 0o755) if when == 'former' else (0, 2000, 0o775)
        os.chown(beneath(name), owner, group); os.chmod(beneath(name), mode)
        for known in ('', '/empty', '/file', '/x'): acting(MEMBER, attempt, os.stat, at(name + known))
        if when == 'former': os.chown(beneath(name), 0, 0)
        elif when == 'former member': os.chmod(beneath(name), 0o755)
        seen.append([when, title, acting(MEMBER, change, at(name)), sorted(os.listdir(beneath(name)))])
say(seen)
`;

for (const [way, options] of Object.entries(ways)) {
  rightsTest(`the former owner of a file may not change what only its owner may, ${way}`, async (t) => {
    const seen = (await inMirror(t, options, FORMER_OWNER)) as [string, string, unknown][];
    // With the write-back cache, times come with the writes of others.
    const results = seen.filter(([title]) => !(options.writeback && title === 'times'));
    const access = ['system.posix_acl_access'];
    for (const [title, result, file] of results) {
      const acl = title === 'no ACL';
      t.deepEqual(
        [result, file],
        ['EPERM', [0, 0, acl ? '0o100775' : '0o100755', 1, acl ? access : []]],
        title,
      );
    }
    t.is(results.length, options.writeback ? 6 : 7);
  });

  rightsTest(`the owner of a file may change it as on the directory, ${way}`, async (t) => {
    t.deepEqual(await inMirror(t, options, OWNER), await onDirectory(t, OWNER));
  });

  rightsTest(`a sticky directory protects the file that has the name now, ${way}`, async (t) => {
    const seen = (await inMirror(t, options, STICKY)) as unknown[];
    t.is(seen.length, 7);
    t.deepEqual(seen, await onDirectory(t, STICKY));
  });

  rightsTest(`a new file has the set-group-ID bit only of a group of its maker, ${way}`, async (t) => {
    const seen = await inMirror(t, options, CREATION);
    t.deepEqual(seen, await onDirectory(t, CREATION));
    t.regex(JSON.stringify(seen), /"creat-member",null,\[1000,2000,"0o102775"/);
    t.regex(JSON.stringify(seen), /"creat-stranger",null,\[1000,2000,"0o100775"/);
  });

  rightsTest(`names are changed with the present rights to their directory, ${way}`, async (t) => {
    const seen = (await inMirror(t, options, DIRECTORY)) as unknown[];
    t.is(seen.length, 30);
    t.deepEqual(seen, await onDirectory(t, DIRECTORY));
    t.is(seen.filter((one) => (one as unknown[])[2] === 'EACCES').length, 20);
  });
}

rightsTest('attributes system.* are read and changed as the caller', async (t) => {
  const source = await mountpoint(t);
  const fs = await mount(source, { allowOther: true, defaultPermissions: true, transport });
  const callers: [string, number, number][] = [];
  const file = { mode: 0o100600, uid: 0, gid: 0, size: 0, nlink: 1 };
  const served = serve(fs, {
    lookup: ({ name }) => (name === 'file' ? { ino: 2, attr: file } : null),
    getattr: ({ ino }) => ({ attr: ino === 1 ? { mode: 0o40755, nlink: 2 } : file }),
    getxattr({ name, uid, gid }) {
      if (name === 'system.nfs4_acl') callers.push(['get', uid, gid]);
      return name === 'system.nfs4_acl' ? Buffer.from('rights') : null;
    },
    setxattr: ({ uid, gid }) => void callers.push(['set', uid, gid]),
    removexattr: ({ uid, gid }) => void callers.push(['remove', uid, gid]),
  });
  t.teardown(async () => {
    await fs.destroy();
    await served;
  });
  const { dir, report } = await mirrorServer(t, 'root', { source, options: KNOWN });
  t.deepEqual(report, { transport });
  const code = `
name = 'system.nfs4_acl'
calls = (os.getxattr, lambda *of: os.setxattr(*of, b'mine'), os.removexattr)
for user in (MEMBER, (0, 0, [])):
    for function in calls: acting(user, function, at('file'), name)
`;
  await systemCalls(t, PRELUDE + code, dir, source);
  const distinct = [...new Set(callers.map((caller) => caller.join(' ')))];
  t.deepEqual(distinct, [
    ...['get 1000 1000', 'set 1000 1000', 'remove 1000 1000'],
    ...['get 0 0', 'set 0 0', 'remove 0 0'],
  ]);
});

/** A test that acts for several users. */
function rightsTest(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  programTest(title, ['python3'], body, notRoot);
}
