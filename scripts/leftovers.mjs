/**
 * What a run of the tests may not leave behind: FUSE mounts of its own, and processes that wait in the kernel for good.
 *
 * Nothing here asks a mount, and of a process only files are read that need none of its locks: where a thread is stuck
 * in a page fault, reading its command line or environment is stuck too.
 */

import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { PREFIX } from './stale-mounts.mjs';

/** Milliseconds in which everything has to be gone: processes that were killed need a moment. */
const GRACE = 10_000;

/** The contents of a file; empty if it is gone, or not for this user. */
function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** What /proc/PID/stat says of a process: its state, session, and when it started, in ticks since the boot. */
function statusOf(pid) {
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ');
  return { state: fields[0], session: Number(fields[3]), started: Number(fields[19]) };
}

const processes = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name));

/** The states of a process's threads. */
function states(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`).map((thread) => statusOf(`${pid}/task/${thread}`).state);
  } catch {
    return [];
  }
}

/** The FUSE mounts where tests mount: number of the mount, of its connection, and where it is. */
function fuseMounts() {
  return read('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields[4]?.startsWith(PREFIX) && / - fuse/.test(fields.join(' ')))
    .map(([number, , device, , path]) => ({ number, connection: Number(device.split(':')[1]), path }));
}

/** The connections that processes of other sessions serve. */
function servedByOthers(session) {
  const served = new Set();
  for (const pid of processes()) {
    if (statusOf(pid).session === session) continue;
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== '/dev/fuse') continue;
        const [, connection] = /^fuse_connection:\s*(\d+)/m.exec(read(`/proc/${pid}/fdinfo/${fd}`)) ?? [];
        served.add(Number(connection));
      }
    } catch {
      // It has ended, or its descriptors have.
    }
  }
  return served;
}

/** Watches over a run, from now on. Processes of the run are those of this session that start later. */
export class Leftovers {
  #session = statusOf('self').session;
  #started = statusOf('self').started;
  #mounts = new Set(fuseMounts().map(({ number }) => number));

  /** Mounts of this run: neither there before, nor served by somebody else. */
  mounts() {
    const found = fuseMounts().filter(({ number }) => !this.#mounts.has(number));
    const others = found.length > 0 ? servedByOthers(this.#session) : new Set();
    return found.filter(({ connection }) => !others.has(connection));
  }

  /** Processes of this run with a thread that waits without being interruptible. */
  stuck() {
    return processes().filter((pid) => {
      const { session, started } = statusOf(pid);
      return session === this.#session && started > this.#started && states(pid).includes('D');
    });
  }

  /** What is there and stays, a line each. A process in the middle of a write is not stuck, but looks so. */
  async lines() {
    const constant = { mounts: undefined, stuck: undefined };
    for (const end = Date.now() + GRACE; ; await sleep(200)) {
      const mounts = this.mounts().map(({ number, path }) => `${path} is still mounted (mount ${number})`);
      const stuck = this.stuck().map((pid) => `process ${pid} waits in the kernel (state D)`);
      constant.mounts = constant.mounts?.filter((line) => mounts.includes(line)) ?? mounts;
      constant.stuck = constant.stuck?.filter((line) => stuck.includes(line)) ?? stuck;
      const lines = [...constant.mounts, ...constant.stuck];
      if (lines.length === 0 || Date.now() > end) return lines;
    }
  }

  /** Aborts the connections, which ends their callers, and kills the processes by number. */
  end() {
    for (const { connection } of this.mounts()) {
      try {
        writeFileSync(`/sys/fs/fuse/connections/${connection}/abort`, '1');
      } catch {
        // It has ended meanwhile.
      }
    }
    for (const pid of this.stuck()) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
  }
}
