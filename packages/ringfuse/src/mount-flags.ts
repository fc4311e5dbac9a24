import { boolean, type Check, oneOf } from './checks.ts';

/** What any mount can be told, by the names of mount(8). */
export interface MountFlags {
  /** Refuse all changes. Default false. */
  readonly readOnly?: boolean;
  /**
   * Let set-user-ID and set-group-ID bits and file capabilities work. Default false; true only where mount(2) is
   * allowed, as `fusermount3` refuses it.
   */
  readonly suid?: boolean;
  /** Let device files work. Default false; true as for `suid`. */
  readonly dev?: boolean;
  /** Let files be executed. Default true. */
  readonly exec?: boolean;
  /** Follow symbolic links. Default true. False needs Linux 5.10. */
  readonly symfollow?: boolean;
  /**
   * When access times change. The kernel leaves the access times of FUSE filesystems to the filesystem: /proc/mounts
   * shows this, and that is all. Default `'relatime'`.
   */
  readonly atime?: 'relatime' | 'noatime' | 'strictatime';
  /** Whether directories have access times; as for `atime`. Default true. */
  readonly diratime?: boolean;
  /** Keep changed times in memory for a while, of which there are some with `WRITEBACK_CACHE` only. Default false. */
  readonly lazytime?: boolean;
  /** Follow each write by an fsync. Default false. */
  readonly sync?: boolean;
  /** Changes of directories are synchronous: shown in /proc/mounts, and that is all. Default false. */
  readonly dirsync?: boolean;
}

/** @internal */
export const mountFlagChecks: { readonly [Flag in keyof MountFlags]-?: Check } = {
  readOnly: boolean,
  suid: boolean,
  dev: boolean,
  exec: boolean,
  symfollow: boolean,
  atime: oneOf('relatime', 'noatime', 'strictatime'),
  diratime: boolean,
  lazytime: boolean,
  sync: boolean,
  dirsync: boolean,
};

/** @internal The words of mount(8) for what differs from the kernel's own defaults, and from nosuid and nodev. */
export function mountFlags(flags: MountFlags): string[] {
  const { readOnly, suid, dev, exec = true, symfollow = true } = flags;
  const { atime = 'relatime', diratime = true, lazytime, sync, dirsync } = flags;
  const words: readonly (readonly [word: string, given: boolean | undefined])[] = [
    ['ro', readOnly],
    ['suid', suid],
    ['dev', dev],
    ['noexec', !exec],
    ['nosymfollow', !symfollow],
    [atime, atime !== 'relatime'],
    ['nodiratime', !diratime],
    ['lazytime', lazytime],
    ['sync', sync],
    ['dirsync', dirsync],
  ];
  return words.filter(([, given]) => given).map(([word]) => word);
}
