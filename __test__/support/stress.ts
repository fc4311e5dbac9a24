/** The stressors of stress-ng that use a filesystem, all at once, on a mount. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/**
 * Those of its class `filesystem` that use files of a directory, and of its class `io` that do. Left out of
 * `filesystem`: `bind-mount` and `binderfs`, which mount filesystems of their own; `eventfd`, `ioprio` and `procfs`, which
 * use no file of ours; `fanotify` and `getdent`, which watch and list the whole machine, other mounts among it; `fiemap`
 * and `verity`, as FUSE has neither; `io`, which syncs the machine's disks.
 */
const STRESSORS = [
  ...['access', 'chattr', 'chdir', 'chmod', 'chown', 'copy-file', 'dentry', 'dir', 'dirdeep', 'dirmany'],
  ...['dnotify', 'dup', 'fallocate', 'fcntl', 'file-ioctl', 'filename', 'flock', 'fpunch', 'fsize', 'fstat'],
  ...['handle', 'hdd', 'inode-flags', 'inotify', 'iomix', 'lease', 'link', 'locka', 'lockf'],
  ...['lockofd', 'mknod', 'open', 'rename', 'symlink', 'sync-file', 'touch', 'utime', 'xattr'],
  ...['aio', 'aiol', 'readahead', 'revio', 'seek', 'sendfile', 'splice'],
];

/** And of those that map files. */
const MAPPING_STRESSORS = ['msync'];

/** Files are as large as exercises them, not as fills the memory of the machine. */
const SIZES = {
  'copy-file-bytes': '128M',
  'fallocate-bytes': '64M',
  'hdd-bytes': '16M',
  'iomix-bytes': '16M',
  'msync-bytes': '16M',
  'readahead-bytes': '16M',
  'revio-bytes': '16M',
  'seek-size': '16M',
  'sendfile-size': '8M',
  'sync-file-bytes': '16M',
};

/** Milliseconds that it has for its end. */
const GRACE = 60_000;

/**
 * What flock(2) itself says, once a boot, of the lock types that the stressor `flock` tries: no filesystem is asked then.
 */
const NOT_OURS = /Attempt to set a LOCK_MAND lock via flock\(2\)/;

/** Lines of the kernel's log that warn, or worse. */
async function kernelWarnings(): Promise<string[]> {
  const { stdout } = await exec('dmesg', ['--level=emerg,alert,crit,err,warn']);
  return stdout.split('\n').filter((line) => line !== '' && !NOT_OURS.test(line));
}

/**
 * Runs all stressors, those that map files if they can be, for some seconds, each of them verifying what it gets. Rejects if one fails or says that it
 * cannot run, or if the kernel has something to warn of. Resolves to how many there were.
 */
export async function runStress(dir: string, seconds: number, mapped: boolean): Promise<number> {
  const stressors = [...STRESSORS, ...(mapped ? MAPPING_STRESSORS : [])];
  const before = await kernelWarnings();
  const args = [
    ...['--temp-path', dir, '--timeout', `${seconds}`, '--verify', '--no-rand-seed', '--oomable'],
    ...Object.entries(SIZES).flatMap(([name, size]) => [`--${name}`, size]),
    ...stressors.flatMap((stressor) => [`--${stressor}`, '1']),
  ];
  const options = {
    timeout: seconds * 1000 + GRACE,
    maxBuffer: 64 << 20,
    env: { ...process.env, LC_ALL: 'C' },
  };
  const { stdout, stderr } = await exec('stress-ng', args, options).catch(
    ({ message, stdout, stderr }: Error & { stdout: string; stderr: string }) => {
      throw new Error(
        `stress-ng: ${message.split('\n')[0].slice(0, 100)}: ${(stdout + stderr).slice(-4000)}`,
      );
    },
  );
  const complaints = (stdout + stderr)
    .split('\n')
    .filter((line) => /fail:|error:|skipping|killed/.test(line));
  if (complaints.length > 0) throw new Error(`stress-ng: ${complaints.join('\n')}`);
  const warnings = (await kernelWarnings()).filter((line) => !before.includes(line));
  if (warnings.length > 0) throw new Error(`the kernel warned: ${warnings.join('\n')}`);
  return stressors.length;
}
