/** A mount's connection in the FUSE control filesystem. */

import { readFile, writeFile } from 'node:fs/promises';

/** The number of the connection of what is mounted on `dir`: the minor number of its device. */
export async function connectionOf(dir: string): Promise<number> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  const fields = table.split('\n').map((line) => line.split(' '));
  const device = fields.findLast(([, , , , mountpoint]) => mountpoint === dir)?.[2];
  if (device === undefined) throw new Error(`${dir} is not mounted`);
  return Number(device.split(':')[1]);
}

/** Ends a connection from outside, as an administrator does. */
export async function abortConnection(connection: number): Promise<void> {
  await writeFile(`/sys/fs/fuse/connections/${connection}/abort`, '1');
}
