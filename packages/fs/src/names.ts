import { FuseError } from 'ringfuse';

/** `NAME_MAX`: the bytes that a name may have. */
const LONGEST_NAME = 255;

/** The UTF-8 bytes of a UTF-16 unit, at most. */
const BYTES_PER_UNIT = 3;

/** The bytes that a name from the kernel had; `U+DC80` … `U+DCFF` alone stand for one byte that is not UTF-8. */
export function byteLength(name: string): number {
  let bytes = 0;
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80 || (code >= 0xdc80 && code <= 0xdcff)) bytes += 1;
    else if (code < 0x800) bytes += 2;
    else if (code < 0x10000) bytes += 3;
    else bytes += 4;
  }
  return bytes;
}

/**
 * Throws ENAMETOOLONG for a name of more than 255 bytes. The kernel's own limit for FUSE is far higher
 * (`FUSE_NAME_MAX`).
 */
export function checkName(name: string): void {
  if (name.length * BYTES_PER_UNIT <= LONGEST_NAME) return;
  if (byteLength(name) > LONGEST_NAME) throw new FuseError('ENAMETOOLONG');
}
