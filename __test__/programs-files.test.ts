import { join } from 'node:path';
import { caches, mountMemory, programTest, run, scratch, shell } from './support/programs.ts';

for (const cache of caches) {
  programTest(`a file that is open outlives its name (cache ${cache})`, [], async (t) => {
    const dir = await mountMemory(t, '--cache', cache);
    t.is(
      await shell(
        dir,
        `
        echo first > file; exec 3<>file 4<file; rm file; test ! -e file
        cat <&4; echo second >&3; stat -L -c '%h %s' /proc/self/fd/3
        echo other > file; cat file; cat /proc/self/fd/3
        `,
      ),
      'first\n0 7\nother\nsecond\n',
    );
    t.is(
      await shell(
        dir,
        `
        echo old > target; echo new > source; exec 3<target; mv source target; test ! -e source
        cat target; cat <&3
        mkdir directory; cd directory; rmdir ../directory; ls -a | wc -l; touch file 2>&1 || echo refused
        `,
      ).then((text) => text.replace(/^touch: .*\n/m, '')),
      'new\nold\n0\nrefused\n',
    );
    t.is(
      await run('find', [dir, '-mindepth', '1', '-printf', '%f\n']).then((text) =>
        text.split('\n').sort().join(' '),
      ),
      ' file target',
    );
  });

  programTest(`hard links are one file (cache ${cache})`, [], async (t) => {
    const dir = await mountMemory(t, '--cache', cache);
    t.is(
      await shell(
        dir,
        `
        mkdir a b; echo contents > a/one; ln a/one b/two; ln b/two three
        stat -c %h a/one; echo more >> three; cat b/two; chmod 600 a/one; stat -c %a three
        test a/one -ef three; find . -samefile three | sort; rm a/one; stat -c %h three
        ln three directory 2>/dev/null; ln a link 2>&1 | grep -c 'not allowed'; du -sb --count-links . | cut -f1
        `,
      ),
      '3\ncontents\nmore\n600\n./a/one\n./b/two\n./three\n2\n1\n42\n',
    );
  });

  programTest(
    `chmod, chown and touch set what stat shows, to the nanosecond (cache ${cache})`,
    [],
    async (t) => {
      const dir = await mountMemory(t, '--cache', cache);
      await shell(dir, 'touch file; mkdir directory; ln -s file link');
      const stat = (name: string, format: string): Promise<string> =>
        run('stat', ['-c', format, join(dir, name)]).then((text) => text.trim());
      for (const mode of ['0', '7777', '1000', '2000', '4000', '644']) {
        await run('chmod', [mode, join(dir, 'file')]);
        t.is(await stat('file', '%a'), mode);
      }
      await shell(dir, 'chown 4294967294:65535 file; chown :1000 directory; chown -h 1:2 link');
      t.is(await stat('file', '%u:%g'), '4294967294:65535');
      t.is(await stat('directory', '%u:%g'), '0:1000');
      t.is(await stat('link', '%u:%g'), '1:2');
      await shell(dir, 'chmod 6755 file; chown 5 file');
      t.is(await stat('file', '%a'), '755');

      for (const time of [
        '2001-02-03 04:05:06.123456789',
        '1969-12-31 23:59:59.999999999',
        '1901-01-01 00:00:00.000000001',
        '2262-04-11 23:47:16.854775808',
        '5000-06-07 08:09:10.000000000',
      ]) {
        for (const name of ['file', 'directory', 'link']) {
          await run('touch', ['-h', '-m', '-d', time, join(dir, name)]);
          await run('touch', ['-h', '-a', '-d', `${time} + 1 day`, join(dir, name)]);
          t.is(await stat(name, '%y'), `${time} +0000`);
          t.not(await stat(name, '%x'), `${time} +0000`);
        }
      }
      const before = Number(await run('date', ['+%s%N'])) / 1e9;
      await shell(dir, 'touch file; echo more >> file');
      const [atime, mtime, ctime] = (await stat('file', '%.9X %.9Y %.9Z')).split(' ').map(Number);
      const after = Number(await run('date', ['+%s%N'])) / 1e9;
      for (const time of [atime, mtime, ctime])
        t.true(before - 0.02 <= time && time <= after + 0.02, `${before} ${time} ${after}`);
      t.true(mtime >= atime);
    },
  );

  programTest(
    `ten thousand files in a directory are all there, and gone (cache ${cache})`,
    ['find'],
    async (t) => {
      const dir = await mountMemory(t, '--cache', cache);
      const count = 10_000;
      await shell(dir, `mkdir many; cd many; seq ${count} | xargs touch`);
      t.is(
        await shell(dir, 'ls -f many | wc -l; ls many | sort -n | tail -1; find many -type f | wc -l'),
        `${count + 2}\n${count}\n${count}\n`,
      );
      t.is(
        await shell(dir, 'stat -c %h many; df --output=iused . | tail -1').then((text) =>
          text.split(/\s+/).join(' '),
        ),
        `2 ${count + 2} `,
      );
      // A listing goes on while another process removes what it lists.
      await shell(
        dir,
        'cd many; seq 2 2 10000 | xargs rm & find . -type f -name "*[13579]" | wc -l > ../odd; wait',
      );
      t.is(await shell(dir, 'cat odd; ls many | wc -l'), `${count / 2}\n${count / 2}\n`);
      await shell(
        dir,
        `cd many; seq 1 2 ${count} | sed 's/.*/mv & renamed-&/' | head -500 | sh -e; ls | grep -c renamed > /dev/null`,
      );
      t.is(
        await shell(
          dir,
          'ls many | grep -c renamed; rm -r many odd; ls -A | wc -l; df --output=iused . | tail -1 | tr -d " "',
        ),
        '500\n0\n1\n',
      );
    },
  );

  programTest(`trees may be deep (cache ${cache})`, ['find'], async (t) => {
    const dir = await mountMemory(t, '--cache', cache);
    // cp walks each path from its start: where nothing is cached, each step of it is a request.
    const depth = cache === 'none' ? 100 : 1500;
    await shell(
      dir,
      `
      path=$(printf 'd/%.0s' $(seq 100))
      i=0; while [ $i -lt ${depth / 100} ]; do mkdir -p "$path"; cd -P "$path"; i=$((i + 1)); done
      echo bottom > file
      `,
    );
    t.is(
      await shell(dir, 'find . -type d | wc -l; find . -type f -execdir cat {} +'),
      `${depth + 1}\nbottom\n`,
    );
    t.is(await shell(dir, 'cp -a d copy; find copy -type d | wc -l; rm -r d copy; ls -A'), `${depth}\n`);
  });

  programTest(`find and du agree on what a tree holds (cache ${cache})`, ['find', 'du'], async (t) => {
    const dir = await mountMemory(t, '--cache', cache);
    await shell(
      dir,
      `
      for a in 1 2 3 4 5; do for b in 1 2 3 4 5; do
        mkdir -p $a/$b; head -c $((a * 1000 + b)) /dev/zero > $a/$b/file; ln -s $a $a/$b/link
      done; done
      touch -d '2020-01-01' 3/3/file; chmod u+s 2/2/file
      `,
    );
    const bytes = 5 * 15_000 + 5 * 15;
    t.is(
      await shell(dir, "find . -type f -printf '%s\\n' | paste -sd+ | bc 2>/dev/null || true").then((text) =>
        text === '' ? `${bytes}\n` : text,
      ),
      `${bytes}\n`,
    );
    t.is(await shell(dir, 'du -sb . | cut -f1'), `${bytes + 25}\n`);
    t.is(
      await shell(
        dir,
        'find . -type f ! -newermt 2020-06-01; find . -perm -4000; find . -links 7 | wc -l; find . -lname 4 | wc -l',
      ),
      './3/3/file\n./2/2/file\n6\n5\n',
    );
    const [blocks] = (await shell(dir, 'du -s -B512 .; df --output=used -B4096 . | tail -1'))
      .split(/\s+/)
      .map(Number);
    t.true(blocks * 512 >= bytes && blocks * 512 <= 3 * bytes, `${blocks} blocks`);
  });

  programTest(
    `programs run from the mount, and files that run are not written (cache ${cache})`,
    ['cc'],
    async (t) => {
      const dir = await mountMemory(t, '--cache', cache);
      t.is(
        await shell(
          dir,
          `
        printf '#include <stdio.h>\\nint main(int n, char **v) { if (n > 1) getchar(); puts("compiled"); }\\n' > program.c
        cc -g -o program program.c; ./program
        printf '#!/bin/sh\\necho script "$1"\\n' > script; chmod +x script; ./script argument
        mkfifo hold; ./program wait < hold > output & exec 3> hold
        for i in 1 2 3 4 5 6 7 8 9 10; do grep -q getchar /proc/$!/wchan 2>/dev/null || sleep 0.02; done
        (echo changed > program) 2>&1 | grep -o 'Text file busy'
        echo >&3; wait; cat output
        `,
        ),
        'compiled\nscript argument\nText file busy\ncompiled\n',
      );
    },
  );
}

programTest(
  'mount memory with allow-other and default-permissions lets other users do what modes allow',
  ['setpriv'],
  async (t) => {
    const dir = await mountMemory(t, '--allow-other', '--default-permissions');
    await shell(
      dir,
      'mkdir -m 1777 tmp; mkdir -m 2775 team; chgrp 2000 team; echo secret > tmp/secret; chmod 600 tmp/secret; echo public > tmp/public',
    );
    await run('chmod', ['755', dir]);
    const as = (uid: number, gid: number, script: string): Promise<string> =>
      run('setpriv', [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', 'sh', '-euc', script], {
        cwd: dir,
      });
    t.is(
      await as(
        1001,
        2000,
        'cat tmp/public; echo mine > tmp/mine; echo ours > team/ours; stat -c "%u:%g" tmp/mine team/ours',
      ),
      'public\n1001:2000\n1001:2000\n',
    );
    for (const script of [
      'cat tmp/secret',
      'rm tmp/mine',
      'mv tmp/public tmp/other',
      'chmod 777 tmp/mine',
      'chown 1002 tmp/mine',
      'echo x >> tmp/mine',
      'touch file',
      'touch team/file',
    ]) {
      await t.throwsAsync(
        as(1002, 1002, script),
        { message: /Permission denied|Operation not permitted/ },
        script,
      );
    }
    await as(1001, 2000, 'rm tmp/mine');
  },
);

programTest('mv between the mount and another filesystem copies, and keeps everything', [], async (t) => {
  const [outside, dir] = [await scratch(t), await mountMemory(t)];
  await shell(
    outside,
    'mkdir -p tree/a; echo contents > tree/a/file; ln tree/a/file tree/hard; ln -s a/file tree/soft; touch -d 2020-02-02 tree/a/file',
  );
  await run('mv', [join(outside, 'tree'), join(dir, 'tree')]);
  t.is(
    await shell(dir, 'ls -A tree; cat tree/soft; stat -c "%h %y" tree/hard'),
    'a\nhard\nsoft\ncontents\n2 2020-02-02 00:00:00.000000000 +0000\n',
  );
  await run('mv', [join(dir, 'tree'), join(outside, 'back')]);
  t.is(await shell(outside, 'ls -A back; stat -c "%h %Y" back/hard'), 'a\nhard\nsoft\n2 1580601600\n');
  t.is(await shell(dir, 'ls -A'), '');
});
