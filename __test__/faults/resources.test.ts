/** Mounting, and serving, where something is missing or forbidden. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { Transport } from 'ringfuse';
import { cat } from '../support/callers.ts';
import { ANSWERED, type Fault, type FaultWatch, faultTest } from '../support/faults.ts';
import { mountpoint } from '../support/mounted.ts';
import { noPython } from '../support/python.ts';
import { CONTENTS } from '../support/sandbox.ts';
import { type Attempt, attemptMount, type Conditions } from '../support/starters.ts';

const SHORT = fileURLToPath(new URL('../support/short.js', import.meta.url));

const fault = (name: string, only: Transport, ...callers: readonly string[]): Fault => ({
  kind: 'start',
  name,
  callers,
  within: 10_000,
  left: 'nothing',
  only,
});

/** Attempts it, and compares what comes of it with the row: nothing is left. */
async function attempt(
  t: ExecutionContext,
  watch: FaultWatch,
  transport: Transport | 'auto',
  conditions: Conditions,
): Promise<Attempt> {
  const dir = await mountpoint(t);
  watch.begin();
  const attempted = await watch.inTime('the attempt', attemptMount(dir, transport, conditions));
  const { read, code, descriptors, message } = attempted;
  t.log(`${code ?? attempted.transport}: ${message ?? attempted.reason ?? ''}`);
  await watch.see(Promise.resolve({ code: read ? undefined : (code ?? 'no contents') }));
  t.deepEqual(descriptors, []);
  await watch.left(dir);
  return attempted;
}

/** Starts a program without some system calls, which fail as by a container's seccomp profile, with EPERM. */
const forbidding = (...calls: readonly number[]): Conditions => ({
  through: ['python3', '-c', SECCOMP, calls.join(',')],
});

const SECCOMP = `
import ctypes, os, struct, sys
calls = [int(call) for call in sys.argv[1].split(',')]
# BPF: loads the call's number; for each that is forbidden, a jump to the last instruction.
code = [(0x20, 0, 0, 0)]
code += [(0x15, len(calls) - index, 0, call) for index, call in enumerate(calls)]
code += [(0x06, 0, 0, 0x7fff0000), (0x06, 0, 0, 0x00050001)]  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM
filter = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *each) for each in code))
program = struct.pack('HxxxxxxP', len(code), ctypes.addressof(filter))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) == 0, ctypes.get_errno()  # PR_SET_SECCOMP, _MODE_FILTER
os.execvp(sys.argv[2], sys.argv[2:])
`;

/** The same numbers on x64 and arm64. */
const IO_URING_SETUP = 425;
const IO_URING_ENTER = 426;
const IO_URING_REGISTER = 427;

const forbidden: Readonly<Record<string, readonly number[]>> = {
  io_uring: [IO_URING_SETUP, IO_URING_ENTER, IO_URING_REGISTER],
  'io_uring_enter(2) alone': [IO_URING_ENTER],
  'io_uring_register(2) alone': [IO_URING_REGISTER],
};

for (const [what, calls] of Object.entries(forbidden)) {
  faultTest(
    fault(`${what} is forbidden by seccomp, transport: 'auto'`, 'dev_fuse', ANSWERED),
    async (t, _transport, watch) => {
      const { transport, reason } = await attempt(t, watch, 'auto', forbidding(...calls));
      t.is(transport, 'dev_fuse');
      t.regex(reason ?? '', /EPERM|not permitted/);
    },
    { missing: noPython },
  );

  faultTest(
    fault(`${what} is forbidden by seccomp, transport: 'io_uring'`, 'io_uring', 'ERR_RINGFUSE_NO_RING'),
    async (t, transport, watch) => {
      const { message } = await attempt(t, watch, transport, forbidding(...calls));
      t.regex(message ?? '', /EPERM|not permitted/);
    },
    { missing: noPython },
  );
}

/** Starts a program in a namespace whose /dev is made by a script. */
const withDevices = (script: string): Conditions => {
  const base = `
    mount -t tmpfs none /dev
    mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; mknod -m 666 /dev/urandom c 1 9
    ${script}
    exec "$@"`;
  return { through: ['unshare', '--mount', 'sh', '-euc', base, 'sh'] };
};

const notRoot = process.getuid?.() === 0 ? undefined : 'not root';

/** What is the same over both transports. */
const everywhere = (name: string, ...callers: readonly string[]): Fault => {
  const { only: _, ...all } = fault(name, 'io_uring', ...callers);
  return all;
};

faultTest(
  everywhere('/dev/fuse is missing', 'ERR_RINGFUSE_DEVICE'),
  async (t, transport, watch) => {
    const { message } = await attempt(t, watch, transport, withDevices(''));
    t.regex(message ?? '', /\/dev\/fuse/);
  },
  { missing: notRoot },
);

/** Lets the process have no more than so much. */
const limited = (limit: string): Conditions => ({
  before: `execFileSync('prlimit', ['--pid', String(process.pid), ${limit}]);`,
});

faultTest(
  everywhere('there is no address space left for slots (RLIMIT_AS)', 'ERR_RINGFUSE_MEMORY'),
  async (t, transport, watch) => {
    const used = `Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[0]) * 4096`;
    const { message } = await attempt(t, watch, transport, limited(`\`--as=\${${used} + (8 << 20)}\``));
    t.regex(message ?? '', /queue depth|max_write/);
  },
);

faultTest(
  {
    kind: 'load',
    name: 'there is neither address space for more slots (RLIMIT_AS) nor a descriptor (RLIMIT_NOFILE) left',
    callers: [ANSWERED],
    within: 30_000,
    left: 'the mount',
  },
  async (t, transport, watch) => {
    const dir = await mountpoint(t);
    const server = spawn(process.execPath, ['--max-semi-space-size=1', '--jitless', SHORT, dir, transport], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.teardown(() => server.kill('SIGKILL'));
    const ended = once(server, 'close');
    const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
    t.is((await lines.next()).value, 'serves');
    watch.begin();
    const callers = Array.from({ length: 30 }, () => cat(join(dir, 'file')));
    await watch.see(...callers.map(({ ended }) => ended));
    for (const { ended } of callers) t.is((await ended).output, CONTENTS.toString());
    await watch.left(dir);
    server.stdin.end();
    t.deepEqual(JSON.parse((await lines.next()).value ?? ''), { grown: false }, 'there was no memory');
    t.deepEqual(await ended, [0, null]);
  },
);

/** Descriptors that a process may have beyond those that it has: with the most of them it can mount. */
const DESCRIPTORS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12];

faultTest(
  {
    ...everywhere(
      `there are no more than 1 to ${DESCRIPTORS.at(-1)} descriptors left (RLIMIT_NOFILE)`,
      ANSWERED,
      'no contents',
      'ERR_RINGFUSE_DEVICE',
      'ERR_RINGFUSE_MAILBOX',
      'ERR_RINGFUSE_NO_RING',
    ),
    within: 60_000,
  },
  async (t, transport, watch) => {
    const open = "readdirSync('/proc/self/fd').length - 1";
    for (const more of DESCRIPTORS) {
      await attempt(t, watch, transport, limited(`\`--nofile=\${${open} + ${more}}\``));
    }
  },
);
