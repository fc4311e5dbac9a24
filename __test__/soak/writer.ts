/**
 * A program that changes files and knows what must be in them. It says before each change which file is in question,
 * and after it what was acknowledged: so whoever kills it can tell what has to be there.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { startPython } from '../support/python.ts';
import { HEEDED_GROUP } from './ledger.ts';

/**
 * Interval timers interrupt its system calls; those that Python does not make again by itself, it does. Each line is
 * `? FILE` (a change begins), `= FILE CRC32 SIZE` or `- FILE` (it is done), or `n OPERATIONS`.
 */
const PROGRAM = `
import ctypes, os, random, select, signal, stat, sys, time, zlib
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
root, seed = sys.argv[1], int(sys.argv[2])
os.setgid(${HEEDED_GROUP})
rng = random.Random(seed)
os.mkdir(root)
model, operations, interrupts = {}, 0, 0

def on_alarm(*_):
    global interrupts
    interrupts += 1
    signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0005, 0.02))
signal.signal(signal.SIGALRM, on_alarm)

def again(function, *args, **named):
    while True:
        try:
            return function(*args, **named)
        except InterruptedError:
            pass

def say(text):
    again(os.write, 1, (text + '\\n').encode())

def path(name):
    return root + '/' + name

def changing(*names):
    for name in names:
        say('? ' + name)

def done(name):
    data = model.get(name)
    say('- ' + name if data is None else '= %s %d %d' % (name, zlib.crc32(data), len(data)))

def write_at(fd, data, offset):
    while len(data) > 0:
        part = data[:rng.randint(1, 200000)]
        count = again(os.pwrite, fd, part, offset)
        data, offset = data[count:], offset + count

def read_all(name):
    fd = again(os.open, path(name), os.O_RDONLY)
    parts, offset = [], 0
    while True:
        part = again(os.pread, fd, rng.randint(1, 200000), offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    again(os.close, fd)
    return b''.join(parts)

def check(name):
    seen, due = read_all(name), model[name]
    if seen != due:
        at = next((i for i, (a, b) in enumerate(zip(seen, due)) if a != b), min(len(seen), len(due)))
        sys.exit('%s: %d bytes where %d were written, another one at %d' % (path(name), len(seen), len(due), at))
    if again(os.stat, path(name)).st_size != len(due):
        sys.exit('%s: its size is not %d' % (path(name), len(due)))

def fresh():
    return bytes(rng.randbytes(rng.choice([0, 1, 100, 4096, 70000, rng.randint(1, 300000)])))

def put(name):
    changing(name)
    fd = again(os.open, path(name), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    model[name] = fresh()
    write_at(fd, model[name], 0)
    if rng.random() < 0.2:
        again(os.fsync, fd)
    again(os.close, fd)
    done(name)

def change(name):
    changing(name)
    data, offset = fresh(), rng.randint(0, len(model[name]))
    fd = again(os.open, path(name), os.O_RDWR)
    write_at(fd, data, offset)
    again(os.close, fd)
    model[name] = model[name][:offset] + data + model[name][offset + len(data):]
    done(name)

def truncate(name):
    changing(name)
    size = rng.randint(0, 2 * len(model[name]) + 1)
    again(os.truncate, path(name), size)
    model[name] = model[name][:size].ljust(size, b'\\0')
    done(name)

def rename(name):
    other = str(rng.randrange(8))
    changing(name, other)
    again(os.rename, path(name), path(other))
    model[other] = model[name]
    if other != name:
        del model[name]
    done(name)
    done(other)

def unlink(name):
    changing(name)
    again(os.unlink, path(name))
    del model[name]
    done(name)

def other(name):
    again(os.mkdir, path('directory'))
    again(os.symlink, 'target', path('directory/symlink'))
    assert again(os.readlink, path('directory/symlink')) == 'target'
    again(os.link, path(name), path('directory/link'))
    assert again(os.stat, path('directory/link')).st_nlink == 2
    assert sorted(again(os.listdir, path('directory'))) == ['link', 'symlink']
    again(os.setxattr, path('directory'), 'user.name', b'value')
    assert again(os.getxattr, path('directory'), 'user.name') == b'value'
    again(os.unlink, path('directory/link'))
    again(os.unlink, path('directory/symlink'))
    again(os.rmdir, path('directory'))

changes = [put, change, change, truncate, rename, unlink, check, check, check, other]
signal.setitimer(signal.ITIMER_REAL, 0.01)
while not select.select([0], [], [], 0)[0]:
    name = str(rng.randrange(8))
    (rng.choice(changes) if name in model else put)(name)
    operations += 1
signal.setitimer(signal.ITIMER_REAL, 0)
for name in model:
    check(name)
say('n %d %d' % (operations, interrupts))
`;

/** What a writer did. */
export interface Written {
  /** Operations, interrupts, and files that were compared in the end. */
  readonly operations: number;
  readonly interrupts: number;
  readonly compared: number;
  /** What was not as it ought to be. */
  readonly problems: readonly string[];
}

/** A writer that runs, in a directory of its own. */
export interface Writer {
  readonly directory: string;
  /** Lets it compare all its files, and end. */
  stop(): Promise<Written>;
  /** Kills it, and compares the files of which all changes were acknowledged. */
  kill(): Promise<Written>;
}

export function startWriter(directory: string, seed: number): Writer {
  const program = startPython(PROGRAM, directory, String(seed));
  return {
    directory,
    async stop() {
      program.tell('stop');
      const { code, signal, stdout, stderr } = await program.ended;
      const [, operations = '0', interrupts = '0'] = /^n (\d+) (\d+)$/m.exec(stdout) ?? [];
      const compared = [...acknowledged(stdout).values()].filter((file) => file !== undefined).length;
      const problems = code === 0 ? [] : [`writer in ${directory}: ${stderr || (signal ?? code)}`];
      return { operations: Number(operations), interrupts: Number(interrupts), compared, problems };
    },
    async kill() {
      program.kill('SIGKILL');
      const { stdout } = await program.ended;
      const files = acknowledged(stdout);
      const found = await Promise.all([...files].map(([name, file]) => compare(join(directory, name), file)));
      const operations = stdout
        .split('\n')
        .filter((line) => line.startsWith('=') || line.startsWith('-')).length;
      const problems = found.filter((problem) => problem !== undefined);
      return { operations, interrupts: 0, compared: files.size, problems };
    },
  };
}

interface File {
  readonly checksum: number;
  readonly size: number;
}

/** The files of which no change was under way; undefined: it is gone. */
function acknowledged(output: string): Map<string, File | undefined> {
  const files = new Map<string, File | undefined>();
  // What follows the last line end was cut off.
  for (const line of output.split('\n').slice(0, -1)) {
    const [what, name, checksum, size] = line.split(' ');
    if (what === '?') files.delete(name);
    if (what === '=') files.set(name, { checksum: Number(checksum), size: Number(size) });
    if (what === '-') files.set(name, undefined);
  }
  return files;
}

async function compare(path: string, file: File | undefined): Promise<string | undefined> {
  const contents = await readFile(path).catch((error: NodeJS.ErrnoException) => error);
  if (contents instanceof Error) {
    return file === undefined && contents.code === 'ENOENT' ? undefined : `${path}: ${contents.message}`;
  }
  if (file === undefined) return `${path}: it was removed, and is there`;
  if (contents.length === file.size && crc32(contents) === file.checksum) return undefined;
  return `${path}: ${contents.length} bytes, which are not the ${file.size} that were acknowledged`;
}
