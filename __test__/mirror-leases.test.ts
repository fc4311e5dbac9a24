/** Files of a source on which somebody holds a lease, fcntl(2). */

import type { MirrorOptions } from '@ringfuse/fs';
import { mirrored } from './support/mirrors.ts';
import { programTest } from './support/programs.ts';
import { systemCalls } from './support/system-calls.ts';

/** The second argument is the source. Each caller that opens or truncates the leased file is a process. */
const LEASED = `
F_SETLEASE = 1024
signal.signal(signal.SIGIO, signal.SIG_IGN)
def fresh(name):
    with open(os.path.join(sys.argv[2], name), 'w') as file: file.write('contents')
fresh('other')
seen = []
actions = {
    'read': lambda: os.read(os.open(at(title), os.O_RDONLY), 8).decode(),
    'open': lambda: os.close(os.open(at(title), os.O_WRONLY)),
    'truncate': lambda: os.truncate(at(title), 8),
    'O_NONBLOCK': lambda: os.open(at(title), os.O_RDWR | os.O_NONBLOCK),
}
for title, action in actions.items():
    fresh(title)
    lease = os.open(os.path.join(sys.argv[2], title), os.O_RDWR)
    fcntl.fcntl(lease, F_SETLEASE, fcntl.F_WRLCK)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(lease)
        os.write(writer, json.dumps(attempt(action)).encode())
        os._exit(0)
    os.close(writer)
    # The lease is being broken: the child's call has reached the source.
    while fcntl.fcntl(lease, 1025) == fcntl.F_WRLCK: time.sleep(0.01)
    with open(at('other')) as file: other = file.read()
    waits = title != 'O_NONBLOCK' and select.select([reader], [], [], 0)[0] == []
    if title != 'O_NONBLOCK': fcntl.fcntl(lease, F_SETLEASE, fcntl.F_UNLCK)
    said = json.loads(os.fdopen(reader).read())
    os.close(lease)
    os.waitpid(child, 0)
    seen.append([title, other, waits, said])
say(seen)
`;

/** More callers than a mount on two CPUs has slots by default. */
const CROWD = `
F_SETLEASE = 1024
signal.signal(signal.SIGIO, signal.SIG_IGN)
for name in ('leased', 'other'):
    with open(os.path.join(sys.argv[2], name), 'w') as file: file.write('contents')
lease = os.open(os.path.join(sys.argv[2], 'leased'), os.O_RDWR)
fcntl.fcntl(lease, F_SETLEASE, fcntl.F_WRLCK)
reader, writer = os.pipe()
children = []
for _ in range(100):
    if (child := os.fork()) == 0:
        os.close(lease)
        os.write(writer, (str(attempt(lambda: os.close(os.open(at('leased'), os.O_WRONLY)))) + '\\n').encode())
        os._exit(0)
    children.append(child)
os.close(writer)
answers = os.fdopen(reader)
at_once = [answers.readline().strip() for _ in range(92)]
with open(at('other')) as file: other = file.read()
waits = select.select([reader], [], [], 0)[0] == []
fcntl.fcntl(lease, F_SETLEASE, fcntl.F_UNLCK)
later = answers.read().split()
for child in children: os.waitpid(child, 0)
say([sorted(set(at_once)), other, waits, later])
`;

const ways: Readonly<Record<string, MirrorOptions>> = {
  'with passthrough': {},
  'without passthrough': { passthrough: false },
};

for (const [way, options] of Object.entries(ways)) {
  programTest(`only the callers of a leased file wait for its holder, ${way}`, ['python3'], async (t) => {
    const { source, dir } = await mirrored(t, options);
    t.deepEqual(await systemCalls(t, LEASED, dir, source), [
      ['read', 'contents', true, 'contents'],
      ['open', 'contents', true, null],
      ['truncate', 'contents', true, null],
      ['O_NONBLOCK', 'contents', false, 'EAGAIN'],
    ]);
  });

  programTest(
    `a quarter of a queue's slots wait for leases, and further callers get EAGAIN, ${way}`,
    ['python3'],
    async (t) => {
      const { source, dir, mount } = await mirrored(t, options);
      t.is(mount.queueDepth, 32);
      t.deepEqual(await systemCalls(t, CROWD, dir, source), [
        ['EAGAIN'],
        'contents',
        true,
        Array.from({ length: 8 }, () => 'None'),
      ]);
    },
  );
}
