import { memory, memoryMountOptions } from '@ringfuse/fs';
import type { Capability, MountOptions } from 'ringfuse';
import { mounted } from './support/mounted.ts';
import { notRoot } from './support/mounting.ts';
import { noPython, python } from './support/python.ts';
import { overBoth } from './support/transports.ts';

/** What all programs begin with: `sys.argv[1]` is a directory, and `prepare` makes root's file in it. */
const PRELUDE = `
import os, stat, sys, errno
os.chdir(sys.argv[1])
CAPABILITY = bytes.fromhex('0100000202000000000000000000000000000000')
def prepare(mode, capable=True, owner=0, group=0):
    with open('file', 'w') as file: file.write('x')
    os.chown('file', owner, group)
    os.chmod('file', mode)
    if capable: os.setxattr('file', 'security.capability', CAPABILITY)
def state():
    seen = os.stat('file')
    return '%o' % stat.S_IMODE(seen.st_mode), 'security.capability' in os.listxattr('file')
def as_user(act, uid=1000, groups=()):
    os.setgroups(groups); os.setegid(uid); os.seteuid(uid)
    try:
        act()
        return 'ok'
    except OSError as error:
        return errno.errorcode[error.errno]
    finally:
        os.seteuid(0); os.setegid(0); os.setgroups([])
def equal(seen, right):
    if seen != right: raise SystemExit(f'{seen} is not {right}')
def fchown():
    fd = os.open('file', os.O_RDONLY)
    try: os.fchown(fd, -1, -1)
    finally: os.close(fd)
def append():
    fd = os.open('file', os.O_WRONLY | os.O_APPEND)
    try: os.write(fd, b'y')
    finally: os.close(fd)
def truncate(): os.truncate('file', 0)
`;

/** What the programs test, each on a fresh mount. */
const programs: Readonly<Record<string, string>> = {
  'a chown that sets nothing changes nothing for a stranger, and is EPERM where there are capabilities': `
for change in lambda: os.chown('file', -1, -1), fchown:
    for mode, capable in (0o4755, True), (0o755, True), (0o4755, False), (0o2755, False), (0o6644, False):
        prepare(mode, capable)
        equal((as_user(change), state()), ('EPERM' if capable else 'ok', ('%o' % mode, capable)))
`,
  'a stranger who writes by the descriptor of somebody else takes privileges away': `
def by(change):
    fd = os.open('file', os.O_RDWR)
    try: return as_user(lambda: change(fd))
    finally: os.close(fd)
copied = os.open('copied', os.O_RDWR | os.O_CREAT)
os.write(copied, b'contents')
for change in (
    lambda fd: os.write(fd, b'y'),
    lambda fd: os.ftruncate(fd, 0),
    lambda fd: os.posix_fallocate(fd, 0, 4096),
    lambda fd: os.copy_file_range(copied, fd, 8, 0, 0),
):
    prepare(0o6755, False)
    equal(state(), ('6755', False))
    equal((by(change), state()), ('ok', ('755', False)))
    prepare(0o6755)
    equal((by(change), state()), ('EPERM', ('6755', True)))
    prepare(0o6777)
    equal((by(change), state()), ('ok', ('777', False)))
`,
  'a chown that sets nothing takes privileges away for the owner and root': `
prepare(0o6755, owner=1000, group=1000)
equal((as_user(fchown), state()), ('ok', ('755', False)))
prepare(0o6755, False)
fchown()
equal(state(), ('755', False))
`,
  'a write of somebody who may write takes privileges away': `
for change in append, truncate:
    prepare(0o6777)
    equal((as_user(change), state()), ('ok', ('777', False)))
    prepare(0o4770, group=1001)
    equal((as_user(change, groups=[1001]), state()), ('ok', ('770', False)))
    prepare(0o4755)
    equal((as_user(change), state()), ('EACCES', ('4755', True)))
`,
  "root's write keeps set-user-ID bits, and takes capabilities away": `
for change in append, truncate:
    prepare(0o6755)
    change()
    equal(state(), ('6755', False))
    change()
    equal(state(), ('6755', False))
`,
  'pages that are written back later leave the capabilities that came meanwhile': `
import mmap
prepare(0o755, False)
with open('file', 'r+b') as file:
    file.write(b'y' * 8192)
    file.flush()
    mapped = mmap.mmap(file.fileno(), 8192)
    mapped[0:5] = b'later'
    os.setxattr('file', 'security.capability', CAPABILITY)
    mapped.flush()
    os.fsync(file.fileno())
    mapped.close()
equal(state(), ('755', True))
equal(open('file', 'rb').read(5), b'later')
`,
  'set-group-ID without execution stays for members of the group alone': `
for change in append, truncate:
    prepare(0o2666, False, group=1001)
    equal((as_user(change), state()), ('ok', ('666', False)))
    prepare(0o2666, False, group=1001)
    equal((as_user(change, groups=[1001]), state()), ('ok', ('2666', False)))
prepare(0o2666, False)
os.chown('file', 1000, 1000)
equal(state(), ('2666', False))
`,
  'a default list keeps S_ISGID, and an access list of a stranger to the group does not': `
import struct
acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', tag, 7, 0xffffffff) for tag in (1, 4, 0x20))
os.mkdir('directory')
os.chown('directory', 1000, 1001)
os.chmod('directory', 0o2775)
def mode(): return '%o' % stat.S_IMODE(os.stat('directory').st_mode)
def set(name): return as_user(lambda: os.setxattr('directory', 'system.posix_acl_' + name, acl))
equal((set('default'), mode()), ('ok', '2775'))
equal((set('access'), mode()), ('ok', '777'))
`,
  'a list that is not there can be removed, and a directory keeps its capability at chown': `
os.mkdir('directory')
for name in 'access', 'default': os.removexattr('directory', 'system.posix_acl_' + name)
os.setxattr('directory', 'security.capability', CAPABILITY)
os.chown('directory', 1000, 1000)
equal(os.listxattr('directory'), ['security.capability'])
`,
};

const variants: readonly Capability[][] = [[], ['WRITEBACK_CACHE']];

for (const capabilities of variants) {
  for (const [title, program] of Object.entries(programs)) {
    overBoth(
      `memory(): ${title} (${['default', ...capabilities].at(-1)})`,
      async (t) => {
        const options: MountOptions = { ...memoryMountOptions, capabilities, allowOther: true, suid: true };
        const { dir } = await mounted(t, memory({ mode: 0o777 }), options);
        const { code, stderr } = await python(PRELUDE + program, dir);
        t.is(stderr, '');
        t.is(code, 0);
      },
      noPython ?? notRoot,
    );
  }
}
