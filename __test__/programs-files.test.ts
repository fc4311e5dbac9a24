import { join } from 'node:path';
import { cachedPlaces, places, programTest, run, scratch, shell } from './support/programs.ts';

/** What a directory beneath a mirror has to do: count its subdirectories as links. */
const COUNTS = 'mkdir -p a/b; test $(stat -c %h a) = 3';

/** Inodes in use. */
const inodes = async (dir: string): Promise<number> =>
  Number((await shell(dir, 'df --output=iused .')).split('\n')[1]);

for (const place of places) {
  programTest(`a file that is open outlives its name (${place})`, [], async (t) => {
    const dir = await place.mount(t);
    t.is(
      await shell(
        dir,
        `
        echo first > file; exec 3<>file 4<file; rm file; test ! -e file
        cat <&4; echo second >&3; stat -L -c '%h %s' /proc/self/fd/3
        echo other > file; cat file /proc/self/fd/3

        echo old > target; echo new > source; exec 3<target; mv source target; test ! -e source
        cat target; cat <&3

        mkdir gone; cd gone; rmdir ../gone; ls -A; touch name 2> /dev/null || echo refused
        `,
      ),
      'first\n0 7\nother\nsecond\nnew\nold\nrefused\n',
    );
    t.is(await shell(dir, 'ls -A'), 'file\ntarget\n');
  });

  programTest(`hard links are one file (${place})`, ['find', 'du'], async (t) => {
    const dir = await place.mount(t);
    t.is(
      await shell(
        dir,
        `
        mkdir a b; echo contents > a/one; ln a/one b/two; ln b/two three
        stat -c %h a/one; echo more >> three; cat b/two; chmod 600 a/one; stat -c %a three
        test a/one -ef three; find . -samefile three | sort
        find . -type f | xargs du -bc --count-links | tail -1; find . -type f | xargs du -bc | tail -1
        rm a/one; stat -c %h three b/two; ! ln a link 2> /dev/null
        `,
      ),
      '3\ncontents\nmore\n600\n./a/one\n./b/two\n./three\n42\ttotal\n14\ttotal\n2\n2\n',
    );
  });

  programTest(`chmod and chown set what stat shows (${place})`, [], async (t) => {
    const dir = await place.mount(t);
    t.is(
      await shell(
        dir,
        `
        touch file; mkdir directory; ln -s file link
        for mode in 0 7777 1000 2000 4000 644; do chmod $mode file; stat -c %a file; done
        chown 4294967294:65535 file; chown :1000 directory; chown -h 1:2 link
        stat -c %u:%g file directory link
        chmod 6755 file; chown 5 file; stat -c %a file
        chmod 4755 file; echo written > file; stat -c %a file
        `,
      ),
      '0\n7777\n1000\n2000\n4000\n644\n4294967294:65535\n0:1000\n1:2\n755\n4755\n',
    );
  });

  programTest(`touch sets times to the nanosecond, and they are kept so (${place})`, [], async (t) => {
    const dir = await place.mount(t);
    await shell(dir, 'touch file; mkdir directory; ln -s file link');
    const stat = async (name: string, format: string): Promise<string> =>
      (await run('stat', ['-c', format, join(dir, name)])).trim();
    for (const time of [
      '2001-02-03 04:05:06.123456789',
      '1969-12-31 23:59:59.999999999',
      '2262-04-11 23:47:16.854775808',
      // ext4 has those of 1901-12-13 to 2446-05-10.
      ...(place.filesystem === 'memory'
        ? ['1901-01-01 00:00:00.000000001', '5000-06-07 08:09:10.000000000']
        : []),
    ]) {
      for (const name of ['file', 'directory', 'link']) {
        await run('touch', ['-h', '-m', '-d', time, join(dir, name)]);
        await run('touch', ['-h', '-a', '-d', `${time} 1 day`, join(dir, name)]);
        t.is(await stat(name, '%y'), `${time} +0000`, name);
        t.is(
          await stat(name, '%x'),
          await run('date', ['-d', `${time} 1 day`, '+%F %T.%N +0000']).then((s) => s.trim()),
        );
      }
    }

    const now = async (): Promise<number> => Number(await run('date', ['+%s.%N']));
    const before = await now();
    await shell(dir, 'cat file; echo more >> file; chmod 600 file');
    const after = await now();
    // The kernel takes the time at its last tick, up to 10 ms ago.
    const tick = 0.011;
    for (const time of (await stat('file', '%.9Y %.9Z')).split(' ').map(Number)) {
      t.true(before - tick <= time && time <= after + tick, `${before} ≤ ${time} ≤ ${after}`);
    }
  });

  programTest(
    `ten thousand files in a directory are all there, and gone (${place})`,
    ['find'],
    async (t) => {
      const dir = await place.mount(t);
      const count = 10_000;
      await shell(dir, `mkdir many; cd many; seq ${count} | xargs touch`);
      t.is(
        await shell(dir, 'ls many | sort -n | uniq | wc -l; find many -type f | wc -l; stat -c %h many'),
        `${count}\n${count}\n2\n`,
      );
      if (place.filesystem === 'memory') t.is(await inodes(dir), count + 2);
      t.is(
        await shell(
          dir,
          `
        cd many
        seq 2 2 ${count} | xargs rm & find . -type f -name '*[13579]' | sort | uniq | wc -l; wait
        ls | wc -l
        `,
        ),
        `${count / 2}\n${count / 2}\n`,
        'a listing is complete although another process removes what it lists',
      );
      t.is(
        await shell(
          dir,
          `
        cd many; mkdir other; seq 1 2 1999 | xargs mv -t other; mv other/1 one
        ls other | wc -l; ls | wc -l; cd ..; rm -r many; ls -A
        `,
        ),
        `999\n${count / 2 - 1000 + 2}\n`,
      );
      if (place.filesystem === 'memory') t.is(await inodes(dir), 1);
    },
    place.obstacle(COUNTS),
  );

  programTest(`trees may be deep (${place})`, ['find'], async (t) => {
    const dir = await place.mount(t);
    // cp walks each path from its start: where nothing is cached, each step of it is a request.
    const depth = place.cache === 'none' ? 100 : 600;
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

  programTest(
    `find, du and df agree on what a tree holds (${place})`,
    ['find', 'du'],
    async (t) => {
      const dir = await place.mount(t);
      await shell(
        dir,
        `
      for a in 1 2 3 4 5; do for b in 1 2 3 4 5; do
        mkdir -p $a/$b; head -c $((a * 1000 + b)) /dev/zero > $a/$b/file; ln -s $a $a/$b/link
      done; done
      touch -d 2020-01-01 3/3/file; chmod u+s 2/2/file
      `,
      );
      const bytes = 5 * 15_000 + 5 * 15;
      const [links, directories] = [25, 31];
      t.is(await shell(dir, 'find . -type f -exec cat {} + | wc -c'), `${bytes}\n`);
      t.is(await shell(dir, 'find . ! -type d | xargs du -bc | tail -1'), `${bytes + links}\ttotal\n`);
      t.is(
        await shell(dir, 'find . -type f ! -newermt 2020-06-01; find . -perm -4000'),
        './3/3/file\n./2/2/file\n',
      );
      t.is(await shell(dir, 'find . -links 7 -type d | wc -l; find . -lname 4 | wc -l'), '6\n5\n');
      const used = Number((await shell(dir, 'du -s -B1 .')).split('\t')[0]);
      t.true(used >= bytes && used < 4 * bytes, `${used} bytes`);
      const [filesystem, inodes] = (await shell(dir, 'df -B1 --output=used,iused . | tail -1'))
        .trim()
        .split(/\s+/);
      // A mirror is as full as what is beneath.
      if (place.filesystem === 'mirror') return;
      t.true(Math.abs(Number(filesystem) - used) <= 4096, `${filesystem} ≈ ${used}`);
      t.is(Number(inodes), 25 + links + directories);
    },
    place.obstacle(COUNTS),
  );

  programTest(
    `programs run from the mount, and what runs is not written to (${place})`,
    ['cc'],
    async (t) => {
      const dir = await place.mount(t);
      t.is(
        await shell(
          dir,
          `
        cat > program.c <<'END'
        #include <stdio.h>
        int main(int count, char **values) {
          if (count > 1) getchar();
          puts("compiled");
        }
END
        cc -g -o program program.c; ./program
        printf '#!/bin/sh\\necho script "$1"\\n' > script; chmod +x script; ./script argument

        mkfifo hold; ./program wait < hold > output & exec 3> hold
        until [ "$(readlink /proc/$!/exe)" = "$(pwd)/program" ]; do sleep 0.01; done
        ! (echo changed > program) 2> error; grep -o 'Text file busy' error
        echo >&3; wait; cat output
        `,
        ),
        'compiled\nscript argument\nText file busy\ncompiled\n',
      );
    },
  );
}

for (const place of cachedPlaces) {
  programTest(`other users do what modes allow, and nothing else (${place})`, ['setpriv'], async (t) => {
    const dir = await place.mount(t, '--allow-other');
    await run('chmod', ['755', dir]);
    await shell(
      dir,
      `
    mkdir -m 1777 tmp; mkdir -m 2775 team; chgrp 2000 team
    echo secret > tmp/secret; chmod 600 tmp/secret; echo public > tmp/public
    `,
    );
    const as = (uid: number, gid: number, script: string): Promise<string> =>
      run('setpriv', [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', 'sh', '-euc', script], {
        cwd: dir,
      });
    t.is(
      await as(
        1001,
        2000,
        'cat tmp/public; echo mine > tmp/mine; echo ours > team/ours; stat -c %u:%g tmp/mine team/ours',
      ),
      'public\n1001:2000\n1001:2000\n',
    );
    for (const script of [
      'cat tmp/secret',
      'rm tmp/mine',
      'mv tmp/public tmp/other',
      'chmod 777 tmp/mine',
      'chown 1002 tmp/mine',
      'echo more >> tmp/mine',
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
  });
}

for (const place of cachedPlaces) {
  programTest(`without allow-other, no other user sees the mount (${place})`, ['setpriv'], async (t) => {
    const dir = await place.mount(t);
    const other = (script: string): Promise<string> =>
      run('setpriv', ['--reuid=1001', '--regid=1001', '--clear-groups', 'sh', '-euc', script]);
    await t.throwsAsync(other(`ls ${dir}`), { message: /Permission denied/ });
  });
}

for (const place of cachedPlaces) {
  programTest(`mv to and from another filesystem keeps everything (${place})`, [], async (t) => {
    const outside = await scratch(t);
    const dir = await place.mount(t);
    await shell(
      outside,
      `
    mkdir -p tree/a; echo contents > tree/a/file; ln tree/a/file tree/hard; ln -s a/file tree/soft
    touch -d '2020-02-02 20:20:02.020202020' tree/a/file
    mv tree ${dir}/tree
    `,
    );
    const expected = 'a\nhard\nsoft\ncontents\n2 2020-02-02 20:20:02.020202020 +0000\n';
    const look = 'ls -A tree; cat tree/soft; stat -c "%h %y" tree/hard';
    t.is(await shell(dir, look), expected);
    await run('mv', [join(dir, 'tree'), join(outside, 'tree')]);
    t.is(await shell(outside, look), expected);
    t.is(await shell(dir, 'ls -A'), '');
  });
}
