/** A user who may write to the source holds a lock there that a serving thread needs, until the mirror answers. */

import { spawn } from 'node:child_process';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cat } from './support/callers.ts';
import { directory } from './support/mirrors.ts';
import { mountpoint } from './support/mounted.ts';
import { notRoot } from './support/mounting.ts';
import { untilMounted } from './support/mounts.ts';
import { programTest } from './support/programs.ts';
import { startSystemCalls } from './support/system-calls.ts';
import { transport } from './support/transports.ts';

const SERVER = fileURLToPath(new URL('support/mirror-server.js', import.meta.url));

/** Another user than root, without any privilege. */
const UID = 1001;

const SIZE = 16 << 20;

/**
 * A write to a file of the source locks it, and reads what is written from a mapping of the mirror meanwhile: a request.
 * The serving thread may have taken a `chmod` of that file before, which needs the lock.
 */
const CIRCLE = `
os.setgroups([]); os.setresgid(${UID}, ${UID}, ${UID}); os.setresuid(${UID}, ${UID}, ${UID})
source = sys.argv[2]
libc.mmap.restype = ctypes.c_void_p
libc.pwrite.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]
if (changer := os.fork()) == 0:
    while True:
        try: os.chmod(at('u/locked'), 0o600); os.chmod(at('u/locked'), 0o644)
        except OSError: time.sleep(0.01)
mapped, locked = os.open(at('u/mapped'), os.O_RDONLY), os.open(os.path.join(source, 'u/locked'), os.O_WRONLY)
pages = libc.mmap(None, ctypes.c_size_t(${SIZE}), 1, 1, mapped, ctypes.c_long(0))
libc.madvise(ctypes.c_void_p(pages), ctypes.c_size_t(${SIZE}), 1)  # MADV_RANDOM
written = 1
while written == 1:
    for page in range(${SIZE} // 4096):
        written = libc.pwrite(locked, pages + page * 4096, 1, 0)
        if written != 1: break
    libc.madvise(ctypes.c_void_p(pages), ctypes.c_size_t(${SIZE}), 4)  # MADV_DONTNEED
    os.posix_fadvise(mapped, 0, 0, os.POSIX_FADV_DONTNEED)
say(errno.errorcode[ctypes.get_errno()])
os.kill(changer, 9)
`;

programTest(
  "a serving thread that waits for a lock of the source is reported, and onStall 'fail' ends the wait",
  ['python3'],
  async (t) => {
    const source = await directory(t);
    const dir = await mountpoint(t);
    await mkdir(join(source, 'u'));
    await writeFile(join(source, 'u/mapped'), Buffer.alloc(SIZE));
    await writeFile(join(source, 'u/locked'), 'x');
    await chown(join(source, 'u'), UID, UID);
    await chown(join(source, 'u/locked'), UID, UID);
    await writeFile(join(source, 'other'), 'contents');
    const mountOptions = { transport, allowOther: true, stallTimeout: 500, onStall: 'fail' };
    const args = [SERVER, source, dir, '{"passthrough":false}', JSON.stringify(mountOptions), '0'];
    const server = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    const ended = new Promise((resolve) => server.once('close', resolve));
    t.teardown(() => server.kill('SIGKILL'));
    let report = '';
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      report += text;
    });
    await untilMounted(dir);
    const attacker = startSystemCalls(CIRCLE, dir, source);
    t.teardown(() => attacker.kill('SIGKILL'));
    const saw = await Promise.race([attacker.line(), sleep(30_000, 'waits')]);
    t.is(saw, '"EFAULT"', report);
    t.regex(report, /it is in .*, and waits in the kernel \(\w+\) for a lock or a device/);
    t.notRegex(report, /Atomics\.wait/);
    // Over io_uring the mount has ended.
    const found = await Promise.race([cat(join(dir, 'other')).ended, sleep(10_000, 'waits')]);
    t.not(found, 'waits');
    server.stdin.end();
    t.not(await Promise.race([ended, sleep(10_000, 'waits')]), 'waits');
  },
  notRoot,
);
