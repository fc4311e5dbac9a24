/** Reading what the system says of itself. */

import { readFile } from 'node:fs/promises';

/** A file's text without the space around it; undefined when there is no such file or it cannot be read. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch {
    return undefined;
  }
}

/** The `code` of a system error, or its text where it has none. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
