import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type MountOptions, mount } from 'ringfuse';
import { cat } from '../support/callers.ts';
import { mountpoint } from '../support/mounted.ts';
import { MOUNTER, Mounter, notRoot, type Report } from '../support/mounting.ts';
import { isMounted, untilUnmounted } from '../support/mounts.ts';
import { noPython } from '../support/python.ts';
import { CONTENTS } from '../support/sandbox.ts';
import { over, overBoth, testUnless } from '../support/transports.ts';

const missing = notRoot ?? noPython;

/** The number that the supervisor passes /dev/fuse as. */
const NUMBER = 9;

/**
 * Opens /dev/fuse, mounts it, and passes it to a mounter; when that has ended, to a further one for each line of
 * standard input, which has its options, and unmounts in the end.
 * Arguments: DIR, `keep` or `close` for its own descriptor, `mount` or `open`, the mounter's command line.
 */
const SUPERVISOR = `
import ctypes, os, subprocess, sys
directory, keep, how, number = sys.argv[1], sys.argv[2] == 'keep', sys.argv[3], int(sys.argv[4])
command = sys.argv[5:]
libc = ctypes.CDLL(None, use_errno=True)
device = os.open('/dev/fuse', os.O_RDWR)
if how == 'mount':
    data = f'fd={device},rootmode=40000,user_id=0,group_id=0,allow_other'.encode()
    if libc.mount(b'passed', directory.encode(), b'fuse.passed', 6, data) != 0:
        raise OSError(ctypes.get_errno(), 'mount')
os.dup2(device, number)
os.close(device)
def line():
    os.set_blocking(0, True)
    text = b''
    while not text.endswith(b'\\n'):
        byte = os.read(0, 1)
        if byte == b'':
            return None
        text += byte
    return text.decode().strip()
options = command.pop()
while options is not None:
    child = subprocess.Popen(command + [f'/dev/fd/{number}', options], pass_fds=[number])
    if not keep:
        os.close(number)
    child.wait()
    options = line()
if how == 'mount':
    libc.umount2(directory.encode(), 2)
`;

interface Supervised {
  readonly dir: string;
  readonly mounter: Mounter;
  readonly report: Report;
}

async function supervised(
  t: ExecutionContext,
  options: MountOptions,
  keep: 'keep' | 'close' = 'close',
  how: 'mount' | 'open' = 'mount',
): Promise<Supervised> {
  const dir = await mountpoint(t);
  const command = [process.execPath, MOUNTER, JSON.stringify(options)];
  const args = [dir, keep, how, String(NUMBER), ...command];
  const mounter = new Mounter(t, 'python3', '-c', SUPERVISOR, ...args);
  return { dir, mounter, report: await mounter.next() };
}

overBoth(
  'an open /dev/fuse that a supervisor mounted is served; who mounted unmounts',
  async (t, transport) => {
    const { dir, mounter, report } = await supervised(t, { transport });
    t.like(report, { maker: 'other', transport, path: dir });
    t.is((await cat(join(dir, 'file')).ended).output, CONTENTS.toString());

    const open = await mounter.ask<{ link: string; inherited: boolean }[]>('descriptors');
    t.true(open.some(({ link }) => link === '/dev/fuse'));
    t.deepEqual(
      open.filter(({ link, inherited }) => inherited && link !== 'socket'),
      [],
    );

    t.true(await mounter.ask('close'));
    t.true(await isMounted(dir));
    t.is((await cat(join(dir, 'file')).ended).code, 'ENOTCONN');
    mounter.end();
    await mounter.ended;
    await untilUnmounted(dir);
  },
  missing,
);

overBoth(
  'close() of a passed descriptor waits for requests that handlers hold, destroy() does not',
  async (t, transport) => {
    for (const how of ['close', 'destroy'] as const) {
      const { dir, mounter } = await supervised(t, { transport });
      const caller = cat(join(dir, 'never'));
      while ((await mounter.ask<number>('held')) === 0);
      const began = performance.now();
      t.true(await mounter.ask(how));
      const waited = performance.now() - began >= 4900;
      t.is(waited, how === 'close', `${how} took ${performance.now() - began} ms`);
      t.true(['ECONNABORTED', 'ENOTCONN'].includes((await caller.ended).code ?? ''));
    }
  },
  missing,
);

testUnless(missing, 'a connection whose sender unmounts it has ended', async (t) => {
  const { dir, mounter } = await supervised(t, {});
  t.is((await cat(join(dir, 'file')).ended).output, CONTENTS.toString());
  mounter.tell('run', 'umount', dir);
  mounter.end();
  await mounter.ended;
  t.false(await isMounted(dir));
});

testUnless(missing, 'what says how to mount is refused where somebody else has mounted', async (t) => {
  for (const option of ['allowOther', 'readOnly', 'exec', 'autoUnmount', 'replaceStale']) {
    const { report } = await supervised(t, { [option]: true });
    t.like(report.error, { code: 'ERR_RINGFUSE_OPTION', errno: -22 });
    t.true(report.error?.message.includes(`option ${option}: `));
  }
});

testUnless(missing, 'a descriptor that is not mounted yet is refused', async (t) => {
  const { report } = await supervised(t, {}, 'close', 'open');
  t.like(report.error, { code: 'ERR_RINGFUSE_DESCRIPTOR', errno: -1, syscall: 'read' });
  t.regex(report.error?.message ?? '', /not mounted/);
});

testUnless(
  undefined,
  'a descriptor that is not open, or not /dev/fuse, is refused and left alone',
  async (t) => {
    await t.throwsAsync(mount('/dev/fd/987'), {
      code: 'ERR_RINGFUSE_DESCRIPTOR',
      message: /987: it is not open/,
    });
    await t.throwsAsync(mount('/dev/fd/1'), {
      code: 'ERR_RINGFUSE_DESCRIPTOR',
      message: /no open \/dev\/fuse/,
    });
    t.true(process.stdout.writable);
  },
);

/** What only a connection without a ring can do. */
function overDevFuse(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (missing === undefined) over('dev_fuse', title, body);
  else testUnless(missing, title, body);
}

/** Lets the mounter die, and passes its connection to a new one with these options. */
async function passOn(mounter: Mounter, ending: 'die' | 'exit', options: MountOptions): Promise<Report> {
  mounter.tell(ending);
  // The supervisor reads the line when the mounter has ended: until then it would be the mounter's.
  await new Promise((resolve) => setTimeout(resolve, 500));
  mounter.send(JSON.stringify(options));
  return mounter.next();
}

overDevFuse('a connection that had a server before is refused without its agreement', async (t) => {
  const { mounter } = await supervised(t, {}, 'keep');
  const { error } = await passOn(mounter, 'die', {});
  t.like(error, { code: 'ERR_RINGFUSE_DESCRIPTOR', errno: -114, syscall: 'read' });
  t.regex(error?.message ?? '', /agreement/);
});

for (const ending of ['die', 'exit'] as const) {
  overDevFuse(
    `with its agreement, a connection without a ring is taken over when its server ${ending}s, and requests that it held are answered`,
    async (t) => {
      const { dir, mounter, report } = await supervised(t, {}, 'keep');
      const caller = cat(join(dir, 'never'));
      while ((await mounter.ask<number>('held')) === 0);
      const { agreement } = report;
      const next = await passOn(mounter, ending, { agreement });
      t.like(next, { maker: 'other', transport: 'dev_fuse', path: dir });
      t.deepEqual(next.agreement, agreement);
      t.not(next.pid, report.pid);
      t.is((await cat(join(dir, 'file')).ended).output, CONTENTS.toString());
      // The read that the first server held came again.
      t.is(await mounter.ask('held'), 1);
      t.true(await mounter.ask('destroy'));
      t.true(['ECONNABORTED', 'ENOTCONN'].includes((await caller.ended).code ?? ''));
    },
  );
}

overDevFuse('a connection that had a ring cannot be taken over', async (t) => {
  const { mounter, report } = await supervised(t, {}, 'keep');
  const agreement = {
    ...report.agreement,
    capabilities: [...report.agreement.capabilities, 'OVER_IO_URING' as const],
  };
  const { error } = await passOn(mounter, 'die', { agreement });
  t.like(error, { code: 'ERR_RINGFUSE_OPTION', errno: -22 });
  t.regex(error?.message ?? '', /mount anew/);
});

overDevFuse('what is taken over cannot have a ring', async (t) => {
  const { mounter, report } = await supervised(t, {}, 'keep');
  const { error } = await passOn(mounter, 'die', { agreement: report.agreement, transport: 'io_uring' });
  t.like(error, { code: 'ERR_RINGFUSE_NO_RING' });
});

overBoth(
  'the agreement says whether there is a ring',
  async (t, transport) => {
    const { report } = await supervised(t, { transport });
    t.is(report.agreement.capabilities.includes('OVER_IO_URING'), transport === 'io_uring');
    t.true(report.agreement.capabilities.includes('ASYNC_READ'));
  },
  missing,
);
