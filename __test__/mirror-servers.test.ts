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

/** Owners write files that they may not read, in whole and in part. */
const WRITE_ONLY = `
cd "$1"
echo first > f; chmod 200 f; cat f 2>/dev/null && exit 1
echo b > f; echo c >> f; printf X | dd of=f bs=1 seek=1 conv=notrunc,fsync status=none
for n in $(seq 2000); do echo $n; done > g; chmod 200 g
printf middle | dd of=g bs=1 seek=5001 conv=notrunc status=none
chmod 600 f g; cat f; md5sum < g
`;

for (const kind of serverKinds) {
  for (const [cached, options] of Object.entries({
    'with default options': {},
    'with write-back cache': { writeback: true },
    'without passthrough': { passthrough: false },
    'with direct I/O': { directIo: true },
  })) {
    testUnless(
      serverMissing[kind],
      `owners write files that they may not read on a mirror served by ${kind} ${cached}`,
      async (t) => {
        const { shell } = await mirrorServer(t, kind, { options });
        // Root may read all files.
        const script = kind.startsWith('root') ? `${WRITE_ONLY.replace('&& exit 1', '')}` : WRITE_ONLY;
        const expected = 'bXc\n9002bc89f4c25d01a07ef181820bdd8c  -\n';
        t.is((await shell(script)).replace(/^first\n/, ''), expected);
      },
    );
  }
}
