import { readFileSync } from 'node:fs';

/** A device by its numbers. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/**
 * The device of what is mounted on `path`, the last that was: read from /proc, as asking the mount itself would be
 * asking the thread that serves it.
 */
export function mountedDevice(path: string): DeviceNumber | undefined {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const line = lines.findLast((entry) => unescapeOctal(entry.split(' ')[4] ?? '') === path);
  const [major, minor] = (line?.split(' ')[2] ?? '').split(':').map(Number);
  return minor === undefined ? undefined : { major, minor };
}

/** Blanks and their like are octal in /proc. */
function unescapeOctal(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
