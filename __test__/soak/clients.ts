/** Programs that nobody here wrote, each again and again in a directory of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Some hundred real files. */
const TREE = join(process.cwd(), 'node_modules/@types/node');

const STRESSORS = ['dentry', 'dir', 'link', 'rename', 'symlink', 'touch', 'utime'];

/** Scripts for `sh`; $1 is a directory that is there, and empty again afterwards. */
export const programs: Readonly<Record<string, string>> = {
  copy: `cp -r '${TREE}' "$1/copy"; diff -r '${TREE}' "$1/copy"; tar -C "$1" -cf - copy | tar -tf - > /dev/null; rm -r "$1/copy"`,
  fio: `fio --name=load --directory="$1" --size=4M --numjobs=2 --thread --group_reporting --rw=randrw \\
    --bsrange=512-128k --bs_unaligned=1 --ioengine=psync --verify=crc32c --verify_fatal=1 --verify_state_save=0 \\
    --output-format=terse > /dev/null; rm "$1"/load.*`,
  'fio, direct': `fio --name=load --directory="$1" --size=2M --thread --rw=randrw --bs=4k --ioengine=libaio \\
    --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1 --verify_state_save=0 \\
    --output-format=terse > /dev/null; rm "$1"/load.*`,
  git: `export GIT_CONFIG_GLOBAL=/dev/null
    git init -q "$1/repository"; cp '${TREE}'/*.ts "$1/repository"; cd "$1/repository"; git add .
    git -c user.name=soak -c user.email=soak@example.org commit -qm all; git gc -q; git fsck --strict
    cd /; rm -rf "$1/repository"`,
  'stress-ng': `stress-ng --quiet --temp-path "$1" --timeout 3 --verify ${STRESSORS.map((name) => `--${name} 1 --${name}-ops 300`).join(' ')}`,
};

/** A program that is run again and again. */
export class Repeated {
  readonly #name: string;
  readonly #directory: string;
  #child: ChildProcess | undefined;
  #killed = false;
  #stopped = false;
  /** Resolves when it runs no more. */
  readonly ended: Promise<void>;
  readonly problems: string[] = [];
  rounds = 0;
  kills = 0;

  constructor(name: string, directory: string) {
    this.#name = name;
    this.#directory = directory;
    this.ended = this.#run();
  }

  /** Kills the round that runs, with all that it started. */
  kill(): void {
    const pid = this.#child?.pid;
    if (pid === undefined || this.#child?.exitCode !== null) return;
    this.#killed = true;
    this.kills++;
    process.kill(-pid, 'SIGKILL');
  }

  /** No further round. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.ended;
  }

  async #run(): Promise<void> {
    while (!this.#stopped && this.problems.length === 0) {
      const script = `mkdir -p "$1"; ${programs[this.#name]}; rmdir "$1"`;
      const args = ['-euc', script, 'sh', this.#directory];
      const env = { ...process.env, LC_ALL: 'C' };
      const child = spawn('sh', args, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe'] });
      this.#child = child;
      this.#killed = false;
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('latin1').on('data', (text: string) => {
          output += text;
        });
      }
      const [code, signal] = await once(child, 'close');
      if (this.#killed) await clear(this.#directory);
      else if (code === 0) this.rounds++;
      else this.problems.push(`${this.#name}: ${signal ?? code}: ${output.slice(-500)}`);
    }
  }
}

/** Removes a directory, by another process: this one must not keep any of it open. */
export async function clear(directory: string): Promise<void> {
  await once(spawn('rm', ['-rf', directory], { stdio: 'inherit' }), 'close');
}
