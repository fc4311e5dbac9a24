/** The transports that tests are run over: whether they can be, and whether a run was. */

import { existsSync, readFileSync } from 'node:fs';
import { root, say } from './run.mjs';

export const TRANSPORTS = ['io_uring', 'dev_fuse'];

/** What keeps this machine, though not this code, from a run over a transport; undefined if nothing does. */
export async function obstacleTo(transport) {
  if (transport !== 'io_uring') return undefined;
  const { examine } = await import('../packages/ringfuse/dist/doctor/index.js');
  const { ring, checks } = await examine();
  if (ring) return undefined;
  return checks.find(({ check, status }) => status === 'problem' && check !== 'native binary');
}

/** What is wrong with a mount, if anything. */
function problemOf(transport, mount) {
  if (mount.transport !== transport)
    return `is over ${mount.transport} (${mount.reason ?? 'it was asked for'})`;
  if (mount.stats === undefined) return undefined;
  const { ringRequests, deviceRequests, forgetRequests, interrupts } = mount.stats;
  if (transport === 'dev_fuse')
    return ringRequests > 0 ? `has ${ringRequests} requests by the ring` : undefined;
  // What the kernel never sends by the ring. A request can carry many nodes to forget, and is never without one.
  return deviceRequests > forgetRequests + interrupts
    ? `has ${deviceRequests} requests by /dev/fuse, of which at most ${forgetRequests + interrupts} belong there`
    : undefined;
}

/**
 * Says what the mounts of a run used, by what its witnesses wrote; returns whether all is as it has to be.
 */
export function judgeTransport(transport) {
  const file = `${root}build/transports/${transport}.jsonl`;
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  const mounts = new Map(lines.map((line) => JSON.parse(line)).map((mount) => [mount.id, mount]));
  const sum = (counter) =>
    [...mounts.values()].reduce((total, { stats }) => total + (stats?.[counter] ?? 0), 0);
  const killed = [...mounts.values()].filter(({ stats }) => stats === undefined).length;
  say(
    `over ${transport}: ${mounts.size} mounts, ${sum('ringRequests')} requests by the ring and ` +
      `${sum('deviceRequests')} by /dev/fuse; ${killed} of the mounts were killed, and counted nothing`,
  );
  let fine = true;
  for (const mount of mounts.values()) {
    const problem = problemOf(transport, mount);
    if (problem === undefined) continue;
    fine = false;
    say(`a mount of ${mount.program} ${problem}`);
  }
  return fine;
}
