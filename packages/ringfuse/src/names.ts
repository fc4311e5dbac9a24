/**
 * Names are bytes. As strings they are UTF-8; a byte that is not part of valid UTF-8 becomes a lone surrogate,
 * U+DC80 to U+DCFF for the bytes 0x80 to 0xFF, so that every name survives the way to a string and back
 * (as Python's `surrogateescape`, PEP 383).
 *
 * Callers choose the bytes. What a name costs depends on its length alone: no exception and no allocation per
 * character.
 */

const REPLACEMENT = '\uFFFD';

/** A byte that is not UTF-8 is `ESCAPE` plus its value. */
const ESCAPE = 0xdc00;
const FIRST_ESCAPE = 0xdc80;
const LAST_ESCAPE = 0xdcff;

const HIGH_SURROGATE = 0xd800;
const LOW_SURROGATE = 0xdc00;

/** UTF-8 bytes of a UTF-16 unit, at most. */
const BYTES_PER_UNIT = 3;

/**
 * The string for the name in `bytes`.
 *
 * @param bytes The name, without a NUL.
 * @returns The string, from which {@link encodeName} makes the same bytes.
 */
export function decodeName(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return decodeRange(buffer, 0, buffer.length);
}

/**
 * The bytes for the name `name`.
 *
 * @param name A name, as from {@link decodeName} or any other string.
 * @returns Its bytes, without a NUL.
 */
export function encodeName(name: string): Buffer {
  return name.isWellFormed() ? Buffer.from(name, 'utf8') : encodeEscaped(name);
}

/** @internal The string for the name at `start` to `end` of `buffer`. */
export function decodeRange(buffer: Buffer, start: number, end: number): string {
  const name = buffer.toString('utf8', start, end);
  return name.includes(REPLACEMENT) ? decodeEscaped(buffer, start, end) : name;
}

/** The valid UTF-8 sequences as they are, every other byte as a lone surrogate. */
function decodeEscaped(bytes: Buffer, start: number, end: number): string {
  const units = new Uint16Array(end - start);
  let length = 0;
  for (let at = start; at < end; ) {
    const size = sequenceSize(bytes, at, end);
    if (size === 0) {
      units[length++] = ESCAPE + bytes[at];
      at += 1;
      continue;
    }
    const code = codePoint(bytes, at, size);
    if (code >= 0x10000) units[length++] = HIGH_SURROGATE + ((code - 0x10000) >> 10);
    units[length++] = code < 0x10000 ? code : LOW_SURROGATE + (code & 0x3ff);
    at += size;
  }
  // Like the kernel's structs, units are little-endian: ringfuse runs on no other machines.
  return Buffer.from(units.buffer).toString('utf16le', 0, 2 * length);
}

/**
 * Bytes of the UTF-8 sequence at `at`, 0 if there is no valid one: table 3-7 of the Unicode Standard, which allows
 * no overlong forms, no surrogates, and nothing beyond U+10FFFF.
 */
function sequenceSize(bytes: Buffer, at: number, end: number): 0 | 1 | 2 | 3 | 4 {
  const first = bytes[at];
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (at + size > end) return 0;
  const second = bytes[at + 1];
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let index = 2; index < size; index += 1) if ((bytes[at + index] & 0xc0) !== 0x80) return 0;
  return size;
}

/** The character of a valid sequence. */
function codePoint(bytes: Buffer, at: number, size: number): number {
  if (size === 1) return bytes[at];
  let code = bytes[at] & (0x7f >> size);
  for (let index = 1; index < size; index += 1) code = (code << 6) | (bytes[at + index] & 0x3f);
  return code;
}

/** The bytes of a string with lone surrogates. One that stands for no byte becomes U+FFFD, as in Node. */
function encodeEscaped(name: string): Buffer {
  const bytes = Buffer.allocUnsafe(BYTES_PER_UNIT * name.length);
  let length = 0;
  for (let at = 0; at < name.length; at += 1) {
    const code = name.codePointAt(at) ?? 0;
    if (code >= FIRST_ESCAPE && code <= LAST_ESCAPE) bytes[length++] = code - ESCAPE;
    else length = writeCodePoint(bytes, length, code >= 0xd800 && code <= 0xdfff ? 0xfffd : code);
    if (code >= 0x10000) at += 1;
  }
  return Buffer.from(bytes.subarray(0, length));
}

/** Writes a character at `at` and returns where it ends. */
function writeCodePoint(bytes: Buffer, at: number, code: number): number {
  if (code < 0x80) {
    bytes[at] = code;
    return at + 1;
  }
  const size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (let index = size - 1, rest = code; index > 0; index -= 1, rest >>= 6) {
    bytes[at + index] = 0x80 | (rest & 0x3f);
  }
  bytes[at] = ((0xf00 >> size) & 0xff) | (code >> (6 * (size - 1)));
  return at + size;
}
