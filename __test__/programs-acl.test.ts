import { memory, memoryMountOptions } from '@ringfuse/fs';
import { mounted } from './support/mounted.ts';
import { cachedPlaces, places, programTest, run, shell } from './support/programs.ts';

const PROGRAMS = ['setfacl', 'getfacl', 'setpriv'];

/** What a directory beneath a mirror has to do. */
const ACL = 'setfacl -m u:1001:r .';

/** Runs a shell script in a directory as another user. */
function as(user: number, group: number, cwd: string, script: string): Promise<string> {
  const identity = [`--reuid=${user}`, `--regid=${group}`, '--clear-groups'];
  return run('setpriv', [...identity, 'sh', '-euc', script], { cwd });
}

/** What it says of each try, as each of three users. */
const ATTEMPTS = `
  try() { "$@" 2> /dev/null > /dev/null && echo yes || echo no; }
  try cat file; try sh -c 'echo more >> file'; try cat directory/inner; try touch directory/$(id -u); try ls directory
`;

for (const place of places) {
  programTest(
    `access control lists decide who may what (${place})`,
    PROGRAMS,
    async (t) => {
      const dir = await place.mount(t, '--allow-other');
      await shell(
        dir,
        `
      chmod 755 .; echo secret > file; chmod 600 file; mkdir -m 700 directory; echo inner > directory/inner
      chown 1000:1000 file directory directory/inner
      setfacl -m u:1001:r,g:2002:rw,m:r file; setfacl -m u:1001:rwx,g:2002:x directory
      `,
      );
      t.is(
        await shell(dir, 'stat -c %a file directory; getfacl --omit-header --numeric file'),
        '640\n770\nuser::rw-\nuser:1001:r--\ngroup::---\ngroup:2002:rw-\t#effective:r--\nmask::r--\nother::---\n\n',
      );
      const attempts = async (user: number, group: number): Promise<string> =>
        (await as(user, group, dir, ATTEMPTS)).replaceAll('\n', ' ').trim();
      t.is(await attempts(1000, 1000), 'yes yes yes yes yes');
      t.is(await attempts(1001, 1001), 'yes no yes yes yes');
      t.is(await attempts(1003, 2002), 'yes no yes no no');
      t.is(await attempts(1004, 1000), 'no no no no no');
      await shell(dir, 'setfacl -m m:rwx file; chmod g-x directory');
      t.is(await attempts(1003, 2002), 'yes yes no no no');
      t.is(await attempts(1001, 1001), 'yes no no no yes');
      await shell(dir, 'setfacl -b file directory; stat -c %a file directory > /dev/null');
      t.is(await attempts(1001, 1001), 'no no no no no');
      t.is(await shell(dir, 'stat -c %a file directory; getfattr -m - file directory'), '600\n700\n');
    },
    place.obstacle(ACL),
  );

  programTest(
    `what is made in a directory begins with its default list (${place})`,
    PROGRAMS,
    async (t) => {
      const dir = await place.mount(t, '--allow-other');
      t.is(
        await shell(
          dir,
          `
        umask 077; mkdir shared plain; setfacl -d -m u:1001:rwx,g::rx,o::- shared
        touch shared/file plain/file; mkdir shared/inner; mkfifo shared/inner/fifo; ln -s x shared/inner/link
        stat -c '%A %n' shared/file plain/file shared/inner shared/inner/fifo shared/inner/link
        getfacl --omit-header --numeric shared/inner shared/file
        `,
        ),
        [
          '-rw-rw---- shared/file',
          '-rw------- plain/file',
          'drwxrwx--- shared/inner',
          'prw-rw---- shared/inner/fifo',
          'lrwxrwxrwx shared/inner/link',
          ...['user::rwx', 'user:1001:rwx', 'group::r-x', 'mask::rwx', 'other::---'],
          ...['user::rwx', 'user:1001:rwx', 'group::r-x', 'mask::rwx', 'other::---'].map(
            (e) => `default:${e}`,
          ),
          '',
          'user::rw-',
          'user:1001:rwx\t#effective:rw-',
          'group::r-x\t#effective:r--',
          'mask::rw-',
          'other::---',
          '',
          '',
        ].join('\n'),
      );
      await shell(dir, 'cp -a shared copy; rsync -aA shared/ synchronised');
      t.is(
        await shell(
          dir,
          `
        for copy in copy synchronised; do
          (cd shared; find . ! -type l | sort | xargs getfacl) > one; (cd $copy; find . ! -type l | sort | xargs getfacl) > two
          cmp one two; echo same
        done
        `,
        ),
        'same\nsame\n',
      );
    },
    place.obstacle(ACL),
  );
}

for (const place of cachedPlaces) {
  programTest(
    `who is not in the group loses the set-group-ID bit with a new list (${place})`,
    PROGRAMS,
    async (t) => {
      const dir = await place.mount(t, '--allow-other');
      await shell(dir, 'chmod 1777 .; touch file; chown 1000:2000 file; chmod 2770 file');
      await as(1000, 2000, dir, 'setfacl -m u:1001:r file');
      t.is(await shell(dir, 'stat -c %a file'), '2770\n');
      await as(1000, 1000, dir, 'setfacl -m u:1002:r file');
      t.is(await shell(dir, 'stat -c %a file'), '770\n');
    },
    place.obstacle(ACL),
  );
}

programTest(
  'without a kernel that checks permissions, lists are kept and not checked',
  PROGRAMS,
  async (t) => {
    const { dir, mount } = await mounted(t, memory(), {
      ...memoryMountOptions,
      defaultPermissions: false,
      // Without POSIX_ACL the kernel does not know that a list changes permissions.
      attrTimeout: 0,
    });
    t.false(mount.capabilities.includes('POSIX_ACL'));
    t.is(
      await shell(
        '/',
        `
        cd ${dir}; umask 027; touch file; mkdir directory; stat -c %a file directory
        setfacl -m u:1001:rw file; stat -c %a file; setfacl -d -m u:1001:rx directory; touch directory/file
        getfacl --omit-header --numeric file directory/file | grep 1001
        `,
      ),
      '640\n750\n660\nuser:1001:rw-\nuser:1001:r-x\t#effective:r--\n',
    );
  },
);
