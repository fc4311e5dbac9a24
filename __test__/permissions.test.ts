/** What users who are let in by `allowOther` may do to the files of others: what the modes say. */

import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memory } from '@ringfuse/fs';
import type { ExecutionContext } from 'ava';
import { mirrored } from './support/mirrors.ts';
import { mounted } from './support/mounted.ts';
import { notRoot } from './support/mounting.ts';
import { Place } from './support/programs.ts';
import { systemCalls } from './support/system-calls.ts';
import { overBoth } from './support/transports.ts';

/** Everything that could read, change or remove `file`, tried as another user. */
const TRY_ALL = `
os.setgroups([]); os.setresgid(1001, 1001, 1001); os.setresuid(1001, 1001, 1001)
file = at('file')
say({
    'read': attempt(os.open, file, os.O_RDONLY),
    'write': attempt(os.open, file, os.O_WRONLY),
    'truncate': attempt(os.truncate, file, 0),
    'chmod': attempt(os.chmod, file, 0o666),
    'chown': attempt(os.chown, file, 1001, 1001),
    'utime': attempt(os.utime, file, (0, 0)),
    'setxattr': attempt(os.setxattr, file, 'user.x', b'x'),
    'remove': attempt(os.unlink, file),
    'rename': attempt(os.rename, file, at('other')),
    'create': attempt(os.mkdir, at('directory')),
})
`;

const REFUSED = {
  read: 'EACCES',
  write: 'EACCES',
  truncate: 'EACCES',
  chmod: 'EPERM',
  chown: 'EPERM',
  utime: 'EPERM',
  setxattr: 'EACCES',
  remove: 'EACCES',
  rename: 'EACCES',
  create: 'EACCES',
};

/** Ways in which other users are let into a filesystem of root's, each resolving to the mountpoint. */
const ways: { readonly [way: string]: (t: ExecutionContext) => Promise<string> } = {
  'mount() of memory()': async (t) => (await mounted(t, memory(), { allowOther: true })).dir,
  'mount() of mirror()': async (t) => (await mirrored(t)).dir,
  'ringfuse mount memory --allow-other': (t) => new Place('memory', 'default').mount(t, '--allow-other'),
  'ringfuse mount memory --allow-other --cache none': (t) =>
    new Place('memory', 'none').mount(t, '--allow-other'),
  'ringfuse mount mirror --allow-other': (t) => new Place('mirror', 'default').mount(t, '--allow-other'),
  'ringfuse mount mirror --allow-other --workers': (t) =>
    new Place('mirror', 'default').mount(t, '--allow-other', '--workers'),
};

for (const [way, mount] of Object.entries(ways)) {
  overBoth(
    `${way}: another user can neither read nor change a private file of root's`,
    async (t) => {
      const dir = await mount(t);
      const file = join(dir, 'file');
      await writeFile(file, 'private', { mode: 0o600 });
      t.deepEqual(await systemCalls(t, TRY_ALL, dir), REFUSED);
      t.is(await readFile(file, 'utf8'), 'private');
      const { mode, uid } = await stat(file);
      t.deepEqual([mode & 0o7777, uid], [0o600, 0]);
    },
    notRoot,
  );
}
