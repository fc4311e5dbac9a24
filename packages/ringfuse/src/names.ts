/**
 * Names are bytes. As strings they are UTF-8; a byte that is not part of valid UTF-8 becomes a lone surrogate,
 * U+DC80 to U+DCFF for the bytes 0x80 to 0xFF, so that every name survives the way to a string and back
 * (as Python's `surrogateescape`, PEP 383).
 */

const REPLACEMENT = '\uFFFD';
const utf8 = new TextDecoder('utf-8', { fatal: true });

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
  if (name.isWellFormed()) return Buffer.from(name, 'utf8');
  const bytes: number[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else bytes.push(...Buffer.from(character, 'utf8'));
  }
  return Buffer.from(bytes);
}

/** @internal The string for the name at `start` to `end` of `buffer`. */
export function decodeRange(buffer: Buffer, start: number, end: number): string {
  const name = buffer.toString('utf8', start, end);
  return name.includes(REPLACEMENT) ? decodeEscaped(buffer.subarray(start, end)) : name;
}

/** The valid UTF-8 sequences as they are, every other byte as a lone surrogate. */
function decodeEscaped(bytes: Buffer): string {
  let name = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes[at]);
    const sequence = tryDecode(bytes.subarray(at, at + length));
    name += sequence ?? String.fromCharCode(0xdc00 + bytes[at]);
    at += sequence === undefined ? 1 : length;
  }
  return name;
}

function sequenceLength(first: number): number {
  if (first < 0xc0) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

function tryDecode(sequence: Buffer): string | undefined {
  try {
    // A byte order mark at the start would be dropped: it is three valid bytes.
    return sequence.equals(byteOrderMark) ? '\uFEFF' : utf8.decode(sequence);
  } catch {
    return undefined;
  }
}

const byteOrderMark = Buffer.from('\uFEFF', 'utf8');
