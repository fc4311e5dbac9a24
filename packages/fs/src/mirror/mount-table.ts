import { readFileSync } from 'node:fs';

/** A device by its numbers. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** One line of /proc/self/mountinfo. */
export interface MountLine extends DeviceNumber {
  readonly mountpoint: string;
  /** Such as `ext4` and `fuse.mirror`. */
  readonly type: string;
  /** What is mounted: of a mirror the path of its source. */
  readonly source: string;
  /** Options of the filesystem, as `lowerdir=…` of an overlay. */
  readonly options: string;
}

/** The mounts that this process sees. The mounted filesystems are not asked for anything. */
export function mountTable(): MountLine[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [own, rest] = line.split(' - ').map((half) => half.split(' '));
    if (rest === undefined) return [];
    const [major, minor] = own[2].split(':').map(Number);
    const [type, source, options] = rest;
    return [
      { major, minor, mountpoint: unescapeOctal(own[4]), type, source: unescapeOctal(source), options },
    ];
  });
}

/** Whether requests of a filesystem go to a process. */
export function isFuse({ type }: MountLine): boolean {
  return type === 'fuse' || type === 'fuseblk' || type.startsWith('fuse.');
}

/**
 * The devices that using a mount leads to, as its server or the kernel uses them in turn: itself, what is mounted in
 * the source of a mirror, and the layers of an overlay.
 */
export function devicesBehind(mount: MountLine, table: readonly MountLine[]): ReadonlySet<MountLine> {
  const reached = new Set([mount]);
  for (const next of reached) {
    for (const path of pathsBehind(next)) {
      for (const found of mountsIn(path, table)) reached.add(found);
    }
  }
  return reached;
}

/** The directories that a filesystem shows. */
function pathsBehind({ type, source, options }: MountLine): string[] {
  if (type === MIRROR) return [source];
  if (type !== 'overlay') return [];
  const layers = options.matchAll(/(?:^|,)(?:lowerdir\+?|datadir\+|upperdir)=((?:\\,|[^,])*)/g);
  return [...layers].flatMap(([, paths]) => unescapeOctal(paths).split(/(?<!\\):+/)).map(unescapeLayer);
}

/** The mount that a directory is in, and those below it. */
function mountsIn(path: string, table: readonly MountLine[]): MountLine[] {
  const isIn = (inner: string, outer: string): boolean =>
    inner === outer || outer === '/' || inner.startsWith(`${outer}/`);
  const above = table.filter(({ mountpoint }) => isIn(path, mountpoint));
  const nearest = above.reduce<MountLine | undefined>(
    (best, line) => (best === undefined || line.mountpoint.length >= best.mountpoint.length ? line : best),
    undefined,
  );
  const below = table.filter(({ mountpoint }) => isIn(mountpoint, path));
  return nearest === undefined ? below : [nearest, ...below];
}

/** The type of a mirror, by the `name` of its mount options. */
const MIRROR = 'fuse.mirror';

/** Blanks and their like are octal in /proc. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Commas and colons have a backslash in the paths of an overlay. */
function unescapeLayer(path: string): string {
  return path.replaceAll(/\\([,:\\])/g, '$1');
}
