import test from 'ava';
import type { Check, Findings } from '#ringfuse/doctor/check.js';
import { checkDevice, checkSwitch } from '#ringfuse/doctor/fuse.js';
import { checkIdleCpus } from '#ringfuse/doctor/idle-cpus.js';
import { checkPolicy, checkRefusal } from '#ringfuse/doctor/io-uring.js';
import { checkConfig, checkVersion, configValue, parseRelease, reaches } from '#ringfuse/doctor/kernel.js';
import { checkAllowOther, checkFusermount, checkPrivileges, hasAdmin } from '#ringfuse/doctor/privileges.js';
import { report } from '#ringfuse/doctor/report.js';

const fine: Check = { check: 'a', status: 'ok', detail: 'fine' };
const doubtful: Check = { check: 'long name', status: 'warning', detail: 'doubtful', remedy: 'look' };
const broken: Check = { check: 'b', status: 'problem', detail: 'broken', remedy: 'mend' };

test("a kernel's version is read from its release, whatever follows", (t) => {
  t.deepEqual(parseRelease('6.14.0-27-generic'), { major: 6, minor: 14 });
  t.deepEqual(parseRelease('7.3-rc1'), { major: 7, minor: 3 });
  t.deepEqual(parseRelease('5.15.153.1-microsoft-standard-WSL2'), { major: 5, minor: 15 });
  t.is(parseRelease('unknown'), undefined);
});

test('versions are compared as numbers, the major one first', (t) => {
  const since = { major: 6, minor: 14 };
  t.true(reaches({ major: 6, minor: 14 }, since));
  t.true(reaches({ major: 7, minor: 0 }, since));
  t.false(reaches({ major: 6, minor: 9 }, since));
  t.false(reaches({ major: 5, minor: 20 }, since));
});

test('a kernel before 6.14 is a problem, and whether /dev/fuse works on it is said', (t) => {
  t.is(checkVersion('6.14.0', false).status, 'ok');
  t.like(checkVersion('6.13.9', false), {
    status: 'problem',
    detail: '6.13.9: FUSE-over-io_uring needs 6.14 or later; /dev/fuse works',
  });
  t.regex(checkVersion('5.4.0', false).detail, /\/dev\/fuse needs 5\.10 or later/);
});

test('an older kernel whose fuse module has the switch is patched, and fine', (t) => {
  t.is(checkVersion('6.12.0-55.el10', true).status, 'ok');
});

test('a kernel whose release is not understood is a warning', (t) => {
  t.is(checkVersion('custom', false).status, 'warning');
});

test('an option of the kernel configuration is its value, or n where it is not set', (t) => {
  const config = 'CONFIG_FUSE_FS=m\nCONFIG_FUSE_IO_URING=y\n# CONFIG_CUSE is not set\nCONFIG_HZ=250\n';
  t.is(configValue(config, 'CONFIG_FUSE_FS'), 'm');
  t.is(configValue(config, 'CONFIG_FUSE_IO_URING'), 'y');
  t.is(configValue(config, 'CONFIG_CUSE'), 'n');
  t.is(configValue(config, 'CONFIG_HZ'), '250');
  t.is(configValue(config, 'CONFIG_FUSE'), 'n');
});

test('a kernel built without FUSE-over-io_uring is a problem', (t) => {
  t.is(checkConfig('CONFIG_FUSE_IO_URING=y\n', true).status, 'ok');
  t.is(checkConfig('# CONFIG_FUSE_IO_URING is not set\n', false).status, 'problem');
});

test('a kernel configuration that is not to be had is told by the switch, and otherwise unknown', (t) => {
  t.is(checkConfig(undefined, true).status, 'ok');
  const unknown = checkConfig(undefined, false);
  t.is(unknown.status, 'warning');
  t.regex(unknown.detail, /^unknown/);
});

test('the switch being off is a problem that names the command which turns it on', (t) => {
  t.is(checkSwitch({ loaded: true, enableUring: 'Y' }).status, 'ok');
  t.like(checkSwitch({ loaded: true, enableUring: 'N' }), {
    status: 'problem',
    remedy: 'echo Y | sudo tee /sys/module/fuse/parameters/enable_uring',
  });
});

test('a fuse module that is missing or has no switch is a problem', (t) => {
  t.like(checkSwitch({ loaded: false, enableUring: undefined }), {
    status: 'problem',
    remedy: 'sudo modprobe fuse',
  });
  t.is(checkSwitch({ loaded: true, enableUring: undefined }).status, 'problem');
  t.is(checkSwitch({ loaded: undefined, enableUring: undefined }).status, 'warning', 'without /sys');
});

test('each way in which /dev/fuse cannot be opened has its remedy', (t) => {
  t.is(checkDevice(undefined).status, 'ok');
  for (const code of ['other', 'ENOENT', 'EACCES', 'EPERM', 'ENODEV', 'EIO']) {
    const check = checkDevice(code);
    t.is(check.status, 'problem', code);
    t.truthy(check.remedy, code);
  }
});

test('CAP_SYS_ADMIN is read from a set of capabilities, and unknown where there is none', (t) => {
  const effective = (status: string): boolean | undefined => hasAdmin(status, 'CapEff');
  t.true(effective('CapPrm:\t0000000000000000\nCapEff:\t000001fffeffffff\n'));
  t.true(effective('CapEff:\t0000000000200000\n'));
  t.false(effective('CapPrm:\t000001ffffffffff\nCapEff:\t0000000000000000\n'));
  t.false(effective('CapEff:\t000001ffffdfffff\n'));
  t.true(hasAdmin('CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\n', 'CapBnd'));
  t.is(effective(''), undefined);
});

const admin = { admin: true, helped: true, root: true };
const user = { admin: false, helped: true, root: false };
const contained = { admin: false, helped: true, root: true };
const helpless = { admin: false, helped: false, root: false };
const unknown = { admin: undefined, helped: undefined, root: true };

test('root without CAP_SYS_ADMIN cannot mount; an ordinary user can, through fusermount3', (t) => {
  t.is(checkPrivileges(admin).status, 'ok');
  t.like(checkPrivileges(user), { status: 'ok', detail: 'an ordinary user: fusermount3 mounts' });
  t.like(checkPrivileges(contained), {
    status: 'problem',
    remedy: 'docker run --cap-add SYS_ADMIN --device /dev/fuse',
  });
  t.like(checkPrivileges(helpless), {
    status: 'problem',
    detail: 'no program can have CAP_SYS_ADMIN here, fusermount3 included',
  });
  t.is(checkPrivileges(unknown).status, 'warning');
});

test('the sysctl that restricts io_uring is obeyed, and its group', (t) => {
  const user = { admin: false, groups: [100, 998] };
  const admin = { admin: true, groups: [0] };
  t.is(checkPolicy({ disabled: undefined, group: -1 }, user).status, 'ok');
  t.is(checkPolicy({ disabled: 0, group: -1 }, user).status, 'ok');
  t.is(checkPolicy({ disabled: 1, group: -1 }, user).status, 'problem');
  t.is(checkPolicy({ disabled: 1, group: 998 }, user).status, 'ok');
  t.is(checkPolicy({ disabled: 1, group: -1 }, admin).status, 'ok');
  t.is(checkPolicy({ disabled: 2, group: -1 }, admin).status, 'problem');
});

test('what the kernel answers when it is asked for a ring has the last word', (t) => {
  const allowed = checkPolicy({ disabled: 0, group: -1 }, { admin: true, groups: [] });
  t.is(checkRefusal(allowed, undefined), allowed);
  t.like(checkRefusal(allowed, 'io_uring_setup: EPERM'), {
    status: 'problem',
    detail: 'io_uring_setup: EPERM',
  });
  const forbidden = checkPolicy({ disabled: 2, group: -1 }, { admin: true, groups: [] });
  t.is(checkRefusal(forbidden, 'io_uring_setup: EPERM'), forbidden);
});

test('without fusermount3 an ordinary user cannot mount, and others need it for autoUnmount only', (t) => {
  const missing = { found: undefined, problem: 'it is not there', remedy: 'install it' };
  t.like(checkFusermount({ found: '3.14.0 (/usr/bin/fusermount3)' }, user), {
    status: 'ok',
    detail: '3.14.0 (/usr/bin/fusermount3)',
  });
  t.like(checkFusermount(missing, user), {
    status: 'problem',
    detail: 'it is not there',
    remedy: 'install it',
  });
  t.is(checkFusermount(missing, admin).status, 'warning');
  t.is(checkFusermount(missing, contained).status, 'warning');
  t.is(checkFusermount(undefined, user).status, 'warning');
});

test('/etc/fuse.conf lets ordinary users let others in where a line of it says so', (t) => {
  t.is(checkAllowOther('# a comment\nuser_allow_other\n').status, 'ok');
  for (const conf of [undefined, '', '#user_allow_other\n', 'user_allow_other = 1\n'])
    t.is(checkAllowOther(conf).status, 'warning', conf);
});

test('idle CPUs that halt at once are a hint where their guest could look for work, and nothing elsewhere', (t) => {
  const [found, ...others] = checkIdleCpus({ governor: 'haltpoll', poll: '0' });
  t.like(found, {
    status: 'hint',
    remedy: 'echo 200000 | sudo tee /sys/module/haltpoll/parameters/guest_halt_poll_ns',
  });
  t.deepEqual(others, []);
  for (const idle of [
    { governor: 'haltpoll', poll: '200000' },
    { governor: 'haltpoll', poll: undefined },
    { governor: 'menu', poll: '0' },
    { governor: undefined, poll: undefined },
  ])
    t.deepEqual(checkIdleCpus(idle), []);
});

/** What was found where nothing works but what is named. */
const finding = (checks: readonly Check[], works: Partial<Findings> = {}): Findings => ({
  ring: false,
  devFuse: false,
  ...works,
  checks,
});

test('the report ends with what works: the ring, /dev/fuse alone, or nothing', (t) => {
  const last = (works: Partial<Findings>): string | undefined =>
    report(finding([fine], works), false)
      .trimEnd()
      .split('\n')
      .pop();
  t.is(last({ ring: true, devFuse: true }), 'A mount over FUSE-over-io_uring works here.');
  t.is(
    last({ devFuse: true }),
    'A mount over FUSE-over-io_uring fails here. Over /dev/fuse it works, with the same API: the default takes that.',
  );
  t.is(last({}), 'No mount works here.');
});

test('the report has a line for each finding, and one below for its remedy', (t) => {
  t.is(
    report(finding([fine, doubtful, broken]), false),
    [
      'ok       a          fine',
      'warning  long name  doubtful',
      '                    → look',
      'problem  b          broken',
      '                    → mend',
      '',
      'No mount works here.',
      '',
    ].join('\n'),
  );
});

test('the report as JSON holds the findings and what works', (t) => {
  const findings = finding([fine, doubtful], { ring: true, devFuse: true });
  t.deepEqual(JSON.parse(report(findings, true)), findings);
});
