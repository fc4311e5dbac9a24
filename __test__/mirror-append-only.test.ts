/** Files of a source that can only be appended to: `chattr +a`. */

import type { MirrorOptions } from '@ringfuse/fs';
import { mirrored } from './support/mirrors.ts';
import { programTest } from './support/programs.ts';
import { systemCalls } from './support/system-calls.ts';

/** The second argument is the source. Opens of the file that can do more than append are refused. */
const LOG = `
import mmap, subprocess
log = os.path.join(sys.argv[2], 'log')
with open(log, 'w') as file: file.write('first,')
os.chmod(log, 0o666)
def opened(flags): os.close(os.open(at('log'), flags))
def write(text, owner):
    if owner: os.setresuid(1000, 1000, 1000)
    fd = os.open(at('log'), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.pwrite(fd, text, 0)
    os.write(fd, text)
    os._exit(0)
def overwrite():
    fd = os.open(at('log'), os.O_WRONLY | os.O_APPEND)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    os.pwrite(fd, b'changed', 0)
    os._exit(0)
def child(function, *args):
    if (pid := os.fork()) == 0:
        try: function(*args)
        finally: os._exit(1)
    return os.waitpid(pid, 0)[1]
# A file that is open and has pages to be written back when it becomes append-only.
early = os.open(at('early'), os.O_CREAT | os.O_RDWR)
os.write(early, b'x' * 5000)
subprocess.run(['chattr', '+a', log, os.path.join(sys.argv[2], 'early')], check=True)
try:
    reader = os.open(at('log'), os.O_RDONLY)
    ends = [child(write, b'root,', False), child(write, b'user,', True)]
    late = os.open(at('early'), os.O_WRONLY | os.O_APPEND)
    os.write(late, b'end')
    os.close(late)
    attempt(os.fsync, early)
    os.close(early)
    with open(os.path.join(sys.argv[2], 'early'), 'rb') as file: early_size = len(file.read())
    refused = [attempt(opened, flags) for flags in (
        os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND, os.O_WRONLY | os.O_APPEND | os.O_TRUNC)]
    refused.append(attempt(os.truncate, at('log'), 0))
    with open(log) as file: beneath = file.read()
    above = os.pread(reader, 1000, 0)
    child(overwrite)
    with open(log) as file: kept = file.read().startswith(beneath)
    say([ends, beneath, above, refused, early_size, kept])
finally:
    subprocess.run(['chattr', '-a', log, os.path.join(sys.argv[2], 'early')], check=True)
`;

const ways: Readonly<Record<string, MirrorOptions>> = {
  'with passthrough': {},
  'without passthrough': { passthrough: false },
  'with write-back cache': { writeback: true, passthrough: false },
  'with nothing cached': { directIo: true, timeout: 0 },
};

for (const [way, options] of Object.entries(ways)) {
  programTest(
    `append-only files are appended to, and cannot be opened for more, ${way}`,
    ['python3', 'chattr'],
    async (t) => {
      const { source, dir } = await mirrored(t, options);
      const contents = `first,${'root,'.repeat(2)}${'user,'.repeat(2)}`;
      t.deepEqual(await systemCalls(t, LOG, dir, source), [
        [0, 0],
        contents,
        contents,
        ['EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM'],
        5003,
        true,
      ]);
    },
  );
}
