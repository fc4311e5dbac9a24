import { join } from 'node:path';
import { places, programTest, run, scratch, shell } from './support/programs.ts';

/** Loads of `fio`: the way it does its I/O, and how. All of it is read back and compared with its checksums. */
const loads: Readonly<Record<string, readonly string[]>> = {
  'buffered, blocks of every size': [
    '--ioengine=psync',
    '--rw=randrw',
    '--bsrange=512-256k',
    '--bs_unaligned=1',
  ],
  'direct, many at once': ['--ioengine=libaio', '--iodepth=16', '--direct=1', '--rw=randrw', '--bs=4k'],
  'direct, large': ['--ioengine=libaio', '--iodepth=4', '--direct=1', '--rw=randrw', '--bs=1M'],
  'io_uring, buffered': ['--ioengine=io_uring', '--iodepth=8', '--rw=randrw', '--bs=16k'],
  'mapped into memory': ['--ioengine=mmap', '--rw=randrw', '--bs=8k'],
  'with fsync and holes': [
    '--ioengine=psync',
    '--rw=randwrite',
    '--bs=4k',
    '--fdatasync=16',
    '--fallocate=none',
  ],
};

/** Without a page cache, files cannot be mapped so that others see the writes. */
const needsPageCache = 'mapped into memory';

/** Of a sparse file: where its data lie, bytes. The middle is on both sides of 4 GiB. */
const MIDDLE = 2 ** 32 - 65536;
const TAIL = 5 * 2 ** 30;
const DATA = 3 * 2 ** 20;

/** The size of a file and what it takes, bytes. */
async function figures(file: string): Promise<{ size: number; used: number }> {
  const [size, blocks, blockSize] = (await run('stat', ['-c', '%s %b %B', file])).split(' ').map(Number);
  return { size, used: blocks * blockSize };
}

for (const place of places) {
  for (const [load, args] of Object.entries(loads)) {
    if (place.cache === 'none' && load === needsPageCache) continue;
    programTest(`fio --verify=crc32c finds every byte: ${load} (${place})`, ['fio'], async (t) => {
      const dir = await place.mount(t);
      const output = await run('fio', [
        '--name=load',
        `--directory=${dir}`,
        '--numjobs=3',
        '--size=8M',
        '--thread',
        '--group_reporting',
        '--verify=crc32c',
        '--verify_fatal=1',
        '--output-format=json',
        // Its own state files do not belong on the mount.
        '--verify_state_save=0',
        ...args,
      ]);
      const [{ error, read, write }] = JSON.parse(output.slice(output.indexOf('{'))).jobs;
      t.is(error, 0);
      t.true(write.io_bytes > 8 << 20, `${write.io_bytes} bytes written`);
      t.true(read.io_bytes >= write.io_bytes, `${read.io_bytes} bytes read of ${write.io_bytes}`);
    });
  }

  programTest(
    `dd, cp and tar work with a sparse file of more than 4 GiB (${place})`,
    ['dd', 'tar', 'fallocate'],
    async (t) => {
      const outside = await scratch(t);
      const dir = await place.mount(t);
      await shell(
        outside,
        `
        head -c ${DATA} /dev/urandom > data
        dd if=data of=${dir}/sparse bs=1M seek=${TAIL / 2 ** 20} status=none
        dd if=data of=${dir}/sparse bs=64K seek=${MIDDLE / 65536} count=2 conv=notrunc status=none
        `,
      );
      await shell(dir, 'cp --sparse=auto sparse copy; mkdir new; tar --sparse -c sparse | tar -C new -x');
      for (const file of ['sparse', 'copy', 'new/sparse']) {
        t.deepEqual(await figures(join(dir, file)), { size: TAIL + DATA, used: DATA + 131072 }, file);
        await shell(
          outside,
          `
          part() { dd if=${dir}/${file} iflag=skip_bytes,count_bytes bs=64K status=none skip=$1 count=$2; }
          part ${TAIL} ${DATA} | cmp - data
          part ${MIDDLE} 131072 | cmp -n 131072 - data
          part ${MIDDLE - 65536} 65536 | cmp -n 65536 - /dev/zero
          part ${MIDDLE + 131072} 65536 | cmp -n 65536 - /dev/zero
          part 0 1M | cmp -n 1048576 - /dev/zero
          `,
        );
      }
      t.is(await run('du', ['-B1', join(dir, 'sparse')]), `${DATA + 131072}\t${join(dir, 'sparse')}\n`);

      // ext4 has files of up to 16 TiB.
      await shell(
        dir,
        `truncate -s ${place.filesystem === 'memory' ? '4P' : '8T'} sparse; truncate -s 4G sparse`,
      );
      await shell(dir, `tail -c 65536 sparse | cmp -n 65536 - ${outside}/data`);
      t.deepEqual(await figures(join(dir, 'sparse')), { size: 2 ** 32, used: 65536 });
      await shell(
        dir,
        `fallocate --punch-hole --offset ${MIDDLE} --length 65536 sparse; fallocate -l 1M kept`,
      );
      t.deepEqual(await figures(join(dir, 'sparse')), { size: 2 ** 32, used: 0 });
      t.deepEqual(await figures(join(dir, 'kept')), { size: 2 ** 20, used: 2 ** 20 });
      await t.throwsAsync(shell(dir, 'truncate -s 7E sparse'), { message: /File too large/ });
    },
    place.obstacle('fallocate -l 64K a; fallocate --punch-hole -l 4K a'),
  );

  programTest(`processes that append to one file lose no line (${place})`, [], async (t) => {
    const dir = await place.mount(t);
    const [processes, lines] = [6, 400];
    await Promise.all(
      Array.from({ length: processes }, (_, n) =>
        shell(
          dir,
          `i=0; while [ $i -lt ${lines} ]; do echo "process ${n} line $i" >> log; i=$((i + 1)); done`,
        ),
      ),
    );
    t.is(await shell(dir, 'wc -l < log; sort -u log | wc -l'), `${processes * lines}\n`.repeat(2));
    for (let n = 0; n < processes; n += 1) {
      const own = await shell(dir, `grep '^process ${n} ' log | cut -d' ' -f4`);
      t.deepEqual(
        own.trim().split('\n').map(Number),
        Array.from({ length: lines }, (_, line) => line),
      );
    }
  });

  programTest(`flock lets one process in at a time (${place})`, ['flock'], async (t) => {
    const dir = await place.mount(t);
    const [processes, rounds] = [4, 25];
    await shell(dir, 'echo 0 > count');
    const add = `i=0; while [ $i -lt ${rounds} ]; do flock lock sh -c 'n=$(cat count); echo $((n + 1)) > count'; i=$((i + 1)); done`;
    await Promise.all(Array.from({ length: processes }, () => shell(dir, add)));
    t.is(await shell(dir, 'cat count'), `${processes * rounds}\n`);
  });
}
