import { mirrorServer, serverKinds, serverMissing } from './support/servers.ts';
import { testUnless, transport } from './support/transports.ts';

for (const kind of serverKinds) {
  for (const workers of [0, 1]) {
    const served = `a mirror served by ${kind}${workers === 0 ? '' : ', in a worker'}`;
    testUnless(serverMissing[kind], `${served} makes hard links`, async (t) => {
      const { report, shell } = await mirrorServer(t, kind, { workers });
      t.deepEqual(report, { transport });
      const links = `
cd "$1"
echo x > g; ln g h
ln -s g soft; ln -P soft hard-soft
mkdir d; ln h d/i
python=/usr/bin/python3
"$python" -c '
import os
fd = os.open(".", os.O_TMPFILE | os.O_RDWR); os.write(fd, b"nameless")
os.link("/proc/self/fd/%d" % fd, "named", src_dir_fd=fd, follow_symlinks=True)'
stat -c '%n %h %F' g d/i hard-soft named
cat d/i named
`;
      t.is(
        await shell(links),
        'g 3 regular file\nd/i 3 regular file\nhard-soft 2 symbolic link\nnamed 1 regular file\nx\nnameless',
      );
    });

    testUnless(serverMissing[kind], `${served} clones a git repository by hard links`, async (t) => {
      const { shell } = await mirrorServer(t, kind, { workers });
      const clone = `
cd "$1"
export HOME="$1" GIT_CONFIG_GLOBAL=/dev/null
git init -q a; cd a; echo text > file; git add file
git -c user.name=n -c user.email=e commit -qm first
cd ..; git clone -q --local a b
find b/.git/objects -type f -links 2 | wc -l; cat b/file
`;
      t.is(await shell(clone), '3\ntext\n');
    });
  }
}

testUnless(
  serverMissing['root in a container'],
  'root in a container makes hard links after other users wrote something',
  async (t) => {
    const { shell } = await mirrorServer(t, 'root in a container');
    const written = `
cd "$1"; chmod 777 .; echo x > g
setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'echo y > other'
ln g h; ln other another; stat -c '%h %u' h another
`;
    t.is(await shell(written), '2 0\n2 1000\n');
  },
);
