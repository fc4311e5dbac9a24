/** Set-user-ID and set-group-ID bits, and capabilities of files: when they go, and who makes them go. */

import { type MirrorOptions, mirror } from '@ringfuse/fs';
import type { ExecutionContext } from 'ava';
import { mount } from 'ringfuse';
import { directory, mirrored } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { programTest } from './support/programs.ts';
import { systemCalls } from './support/system-calls.ts';
import { transport } from './support/transports.ts';

/** Mounts a mirror and serves it on this thread. */
const here =
  (options: MirrorOptions = {}) =>
  async (t: ExecutionContext): Promise<string> =>
    (await mirrored(t, options)).dir;

const ways: Readonly<Record<string, (t: ExecutionContext) => Promise<string>>> = {
  'with passthrough': here(),
  'without passthrough': here({ passthrough: false }),
  'with file handles': here({ descriptors: 0 }),
  'with write-back cache': here({ writeback: true }),
  'with nothing cached': here({ directIo: true, timeout: 0 }),
  async 'in workers'(t) {
    const dir = await mountpoint(t);
    const it = mirror(await directory(t));
    const workers = it.workers({ count: 2 });
    const fs = await mount(dir, { ...it.mountOptions, allowOther: true, transport, workers });
    t.teardown(async () => {
      await fs.destroy();
      it.close();
    });
    return dir;
  },
};

const PRELUDE = `
CAPABILITY = bytes.fromhex('0100000200040000000000000000000000000000')
def acting(uid, gid, groups, function, *args):
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups(groups); os.setgid(gid); os.setuid(uid)
            said = attempt(function, *args)
        except BaseException as error: said = repr(error)
        os.write(writer, json.dumps(said).encode()); os._exit(0)
    os.close(writer)
    said = json.loads(os.fdopen(reader).read())
    os.waitpid(child, 0)
    return said
count = 0
def fresh(mode, capable, uid, gid):
    global count
    count += 1
    name = at('file %d' % count)
    fd = os.open(name, os.O_CREAT | os.O_RDWR); os.write(fd, b'program of some length'); os.close(fd)
    os.chown(name, uid, gid)
    if capable: os.setxattr(name, 'security.capability', CAPABILITY)
    os.chmod(name, mode)
    return name
def shown(name):
    return [oct(os.stat(name).st_mode), attempt(lambda: len(os.getxattr(name, 'security.capability')))]
def write(name):
    fd = os.open(name, os.O_WRONLY); os.pwrite(fd, b'P', 0); os.close(fd)
def append(name):
    fd = os.open(name, os.O_WRONLY | os.O_APPEND); os.write(fd, b'P'); os.close(fd)
def ftruncate(name):
    fd = os.open(name, os.O_WRONLY); os.ftruncate(fd, 2); os.close(fd)
def truncate(name): os.truncate(name, 3)
def rewrite(name):
    fd = os.open(name, os.O_WRONLY | os.O_TRUNC); os.write(fd, b'new'); os.close(fd)
def fallocate(name):
    fd = os.open(name, os.O_WRONLY); os.posix_fallocate(fd, 0, 100); os.close(fd)
`;

/** Users who may write the file, which is \`OWNER:GROUP\`, by different rights. */
const WRITES = `${PRELUDE}
OWNER, GROUP = 1000, 2000
users = {
    'root': (0, 0, [0]),
    'the owner': (OWNER, 3000, []),
    'the owner, in the group': (OWNER, GROUP, []),
    'a member': (1001, GROUP, []),
    'a member by a further group': (1001, 3000, [3001, GROUP]),
    'another user': (1002, 3000, [3001]),
}
seen = []
for group in (GROUP, 0):
    for mode in (0o2666, 0o6777):
        for title, user in users.items():
            for action in (write, append, ftruncate, rewrite, fallocate, truncate):
                for capable in ((False, True) if action is write and group else (False,)):
                    name = fresh(mode, capable, OWNER, group)
                    seen.append([oct(mode), group, title, action.__name__, capable, acting(*user, action, name), shown(name)])
            name = fresh(mode, False, OWNER, group)
            seen.append([oct(mode), group, title, 'chgrp', acting(*user, os.chown, name, -1, user[1]), shown(name)])
say([json.dumps(one) for one in seen])
`;

/** Changes of owner to nobody else. */
const NOBODY = `${PRELUDE}
def by_name(name): os.chown(name, -1, -1)
def by_descriptor(name):
    fd = os.open(name, os.O_RDONLY)
    try: os.fchown(fd, -1, -1)
    finally: os.close(fd)
users = {'root': (0, 0, [0]), 'the owner': (1000, 3000, []), 'another user': (1002, 3000, [3001])}
seen = []
for mode in (0o4755, 0o2755, 0o2745, 0o6755, 0o755, 0o6777):
    for capable in (False, True):
        for title, user in users.items():
            for action in (by_name, by_descriptor):
                name = fresh(mode, capable, 1000, 2000)
                result = acting(*user, action, name)
                if title == 'another user' and sys.argv[2] == 'beneath':
                    # A mirror refuses to remove capabilities, which Linux does for anybody where there are no bits. It does
                    # not refuse what could be a write by the descriptor of somebody else.
                    is_refused = capable and mode != 0o6777
                    expected = ['EPERM', [oct(0o100000 | mode), 20]] if is_refused else [None, [oct(0o100000 | mode), 'ENODATA']]
                    seen.append([oct(mode), capable, title, *expected])
                elif title == 'root' and capable and sys.argv[2:] == ['beneath', 'cached']:
                    # A write of root sends the same requests, and takes no bits.
                    seen.append([oct(mode), capable, title, result, [oct(0o100000 | mode), 'ENODATA']])
                else:
                    seen.append([oct(mode), capable, title, result, shown(name)])
os.mkdir(at('dir')); os.chmod(at('dir'), 0o2755)
for title, user in users.items():
    seen.append([title, acting(*user, os.chown, at('dir'), -1, -1), shown(at('dir'))])
say([json.dumps(one) for one in seen])
`;

/** Changes by descriptors that root opened, before and after the file got its mode. */
const PASSED = `${PRELUDE}
os.close(os.open(at('other'), os.O_CREAT | os.O_WRONLY)); os.truncate(at('other'), 100)
other = os.open(at('other'), os.O_RDONLY)
actions = {
    'write': lambda fd: os.write(fd, b'P'),
    'pwrite': lambda fd: os.pwrite(fd, b'P', 5),
    'ftruncate': lambda fd: os.ftruncate(fd, 3),
    'fallocate': lambda fd: os.posix_fallocate(fd, 0, 100),
    'copy_file_range': lambda fd: os.copy_file_range(other, fd, 50, 0, 0),
    'sendfile': lambda fd: os.sendfile(fd, other, 0, 50),
}
users = {
    'root': (0, 0, [0]),
    'the owner': (1000, 3000, []),
    'a member': (1001, 2000, []),
    'another user': (1002, 3000, [3001]),
}
flags = {'O_WRONLY': os.O_WRONLY, 'O_RDWR': os.O_RDWR, 'O_APPEND': os.O_WRONLY | os.O_APPEND}
seen = []
for mode in (0o4711, 0o2755, 0o2705, 0o6777):
    for title, user in users.items():
        for action, act in actions.items():
            for way, flag in flags.items():
                for is_early in (False, True):
                    if way == 'O_APPEND' and action == 'copy_file_range': continue
                    name = fresh(0o700 if is_early else mode, False, 1000, 2000)
                    fd = os.open(name, flag)
                    if is_early: os.chmod(name, mode)
                    result = acting(*user, act, fd)
                    seen.append([oct(mode), title, action, way, is_early, result, shown(name), os.fstat(fd).st_size])
                    os.close(fd)
                    seen[-1].append(shown(name))
say([json.dumps(one) for one in seen])
`;

const DEFAULT_ACL = `${PRELUDE}
NONE = 0xffffffff
acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in ((1, 7, NONE), (4, 5, NONE), (32, 5, NONE)))
seen = []
for name in ('system.posix_acl_default', 'system.posix_acl_access'):
    os.mkdir(at(name)); os.chown(at(name), 1000, 2000); os.chmod(at(name), 0o2775)
    seen.append([name, acting(1000, 3000, [], os.setxattr, at(name), name, acl), oct(os.stat(at(name)).st_mode)])
say([json.dumps(one) for one in seen])
`;

for (const [way, serve] of Object.entries(ways)) {
  programTest(
    `a change to a file takes its privileges by the caller's groups, as on the directory, ${way}`,
    ['python3'],
    async (t) => {
      const dir = await serve(t);
      const expected = (await systemCalls(t, WRITES, await directory(t))) as unknown[];
      t.is(expected.length, 180);
      t.deepEqual(await systemCalls(t, WRITES, dir), expected);
    },
  );

  programTest(
    `a change of owner to nobody else takes privileges from no file but the caller's own, ${way}`,
    ['python3'],
    async (t) => {
      const dir = await serve(t);
      // With the write-back cache a change of owner has a time.
      const times = way === 'with write-back cache' ? 'written back' : 'cached';
      const expected = await systemCalls(t, NOBODY, await directory(t), 'beneath', times);
      t.deepEqual(await systemCalls(t, NOBODY, dir, 'mirror'), expected);
    },
  );

  programTest(
    `a change by a descriptor that somebody else opened takes privileges, as on the directory, ${way}`,
    ['python3'],
    async (t) => {
      const dir = await serve(t);
      const expected = (await systemCalls(t, PASSED, await directory(t))) as unknown[];
      t.is(expected.length, 4 * 4 * (6 * 3 - 1) * 2);
      t.deepEqual(await systemCalls(t, PASSED, dir), expected);
    },
  );

  programTest(`a default ACL leaves a directory its set-group-ID bit, ${way}`, ['python3'], async (t) => {
    const dir = await serve(t);
    const expected = await systemCalls(t, DEFAULT_ACL, await directory(t));
    t.deepEqual(await systemCalls(t, DEFAULT_ACL, dir), expected);
  });
}
