/**
 * `ringfuse doctor` in surroundings that lack something: what it says works is what works. They are made by root in a
 * mount namespace of their own.
 */

import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import type { Findings } from 'ringfuse/doctor';
import { AS_NOBODY, notRoot, noUser } from './support/mounting.ts';
import { noPython } from './support/python.ts';
import { testUnless } from './support/transports.ts';

const COMMAND = [process.execPath, resolve('packages/cli/bin/ringfuse.js'), 'doctor', '--json'];

/** Runs its arguments where io_uring_setup(2) fails with EPERM, as in a container's default seccomp profile. */
const WITHOUT_IO_URING = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
code = b''.join(struct.pack('HBBI', *i) for i in [
    (0x20, 0, 0, 0),           # the number of the system call
    (0x15, 0, 1, 425),         # io_uring_setup
    (0x06, 0, 0, 0x00050001),  # EPERM
    (0x06, 0, 0, 0x7fff0000)]) # allowed
memory = ctypes.create_string_buffer(code)
program = struct.pack('HxxxxxxQ', len(code) // 8, ctypes.addressof(memory))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0): sys.exit('no seccomp')
os.execvp(sys.argv[1], sys.argv[1:])
`;

/** Runs the doctor in a mount namespace of its own, after a shell script. */
function doctor(prepare: string, through: readonly string[] = []): Promise<Findings & { code: number }> {
  const script = `${prepare}\nexec "$@"`;
  const args = ['--mount', 'sh', '-euc', script, 'sh', ...through, ...COMMAND];
  const { RINGFUSE_TEST_TRANSPORT: _, NODE_OPTIONS: __, ...env } = process.env;
  return new Promise((resolve, reject) => {
    execFile('unshare', args, { env, timeout: 60_000 }, (error, stdout, stderr) => {
      try {
        resolve({ ...JSON.parse(stdout), code: error === null ? 0 : error.code });
      } catch {
        reject(error ?? new Error(stderr));
      }
    });
  });
}

/** What the doctor says of something. */
const statusOf = ({ checks }: Findings, check: string): string =>
  checks.find((found) => found.check === check)?.status ?? 'not said';

const detailOf = ({ checks }: Findings, check: string): string =>
  checks.find((found) => found.check === check)?.detail ?? 'not said';

testUnless(notRoot, 'doctor: where /dev/fuse is another device, no mount works', async (t) => {
  const found = await doctor('mount --bind /dev/null /dev/fuse');
  t.like(found, { code: 1, ring: false, devFuse: false });
  t.is(statusOf(found, '/dev/fuse'), 'problem');
  t.regex(detailOf(found, '/dev/fuse'), /is not FUSE's device/);
});

testUnless(notRoot, 'doctor: without /dev/fuse, no mount works', async (t) => {
  const found = await doctor('mount -t tmpfs none /dev');
  t.like(found, { code: 1, ring: false, devFuse: false });
  t.regex(detailOf(found, '/dev/fuse'), /is missing/);
});

testUnless(
  notRoot,
  'doctor: without /sys, a mount has the ring, and what /sys says is unknown',
  async (t) => {
    const found = await doctor('mount -t tmpfs none /sys');
    t.like(found, { code: 0, ring: true, devFuse: true });
    t.is(statusOf(found, 'enable_uring'), 'warning');
    t.deepEqual(
      found.checks.filter(({ status }) => status === 'problem'),
      [],
    );
  },
);

testUnless(
  notRoot,
  'doctor: without /proc, a mount has the ring, and what /proc says is unknown',
  async (t) => {
    const found = await doctor('mount -t tmpfs none /proc');
    t.like(found, { code: 0, ring: true, devFuse: true });
    t.is(statusOf(found, 'privileges'), 'warning');
    t.deepEqual(
      found.checks.filter(({ status }) => status === 'problem'),
      [],
    );
  },
);

testUnless(
  notRoot ?? noPython,
  'doctor: where io_uring is refused, a mount over /dev/fuse works, and it says so',
  async (t) => {
    const found = await doctor('', ['python3', '-c', WITHOUT_IO_URING]);
    t.like(found, { code: 1, ring: false, devFuse: true });
    t.is(statusOf(found, 'io_uring'), 'problem');
    t.is(statusOf(found, 'mount over /dev/fuse'), 'ok');
  },
);

testUnless(
  notRoot,
  'doctor: root without CAP_SYS_ADMIN cannot mount, with fusermount3 or without',
  async (t) => {
    const found = await doctor('', ['setpriv', '--bounding-set', '-sys_admin', '--inh-caps', '-sys_admin']);
    t.like(found, { code: 1, ring: false, devFuse: false });
    t.is(statusOf(found, 'privileges'), 'problem');
  },
);

testUnless(
  notRoot ?? noUser,
  'doctor: an ordinary user of a container without CAP_SYS_ADMIN cannot mount, although fusermount3 is there',
  async (t) => {
    const everybodys = 'mknod /tmp/ringfuse-test-fuse c 10 229; chmod 0666 /tmp/ringfuse-test-fuse';
    const device = `mount -t tmpfs none /tmp; ${everybodys}; chmod 1777 /tmp; mount --bind /tmp/ringfuse-test-fuse /dev/fuse`;
    const through = ['setpriv', '--bounding-set', '-sys_admin', ...AS_NOBODY];
    const found = await doctor(device, through);
    t.like(found, { code: 1, ring: false, devFuse: false });
    t.regex(detailOf(found, 'privileges'), /fusermount3 included/);
    t.is(statusOf(found, 'fusermount3'), 'ok');
    const outside = await doctor(device, AS_NOBODY);
    t.like(outside, { code: 0, ring: true, devFuse: true }, 'with it, the user can');
  },
);
