/**
 * Unmounting before a signal ends the process.
 *
 * From the first mount on until the last one is out of the tree, the signals keep a listener: without one, a second signal
 * would end the process in the middle of an unmount. Those that come meanwhile take effect afterwards.
 */

import { setTimeout as sleep } from 'node:timers/promises';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Milliseconds that mounts have to end by themselves. What then is left is taken away on the spot. */
const DEADLINE = 3000;

/** How a mount, or one that is being made, ends because of a signal. */
export interface Ending {
  /** Ends it. It takes itself off the list when it is out of the tree. */
  end(): Promise<void>;
  /** Takes it out of the tree without waiting for a promise, as at the exit of a process. */
  now(): void;
}

const endings = new Set<Ending>();

/** Signals that came since the first mount, and are to end the process when the last one is gone. */
const received = new Set<NodeJS.Signals>();

let unmounting = false;

function onSignal(signal: NodeJS.Signals): void {
  // With listeners of the application's own, it is theirs to end the process.
  if (process.listenerCount(signal) === 1) received.add(signal);
  if (!unmounting) void unmountAll();
}

async function unmountAll(): Promise<void> {
  unmounting = true;
  const late = new AbortController();
  const expired = sleep(DEADLINE, true, { signal: late.signal }).catch(() => false);
  // A mount that was being made comes onto the list when it is made.
  while (endings.size > 0) {
    const ended = Promise.allSettled(Array.from(endings, (ending) => ending.end())).then(() => false);
    if (!(await Promise.race([ended, expired]))) continue;
    for (const ending of endings) ending.now();
    endings.clear();
    listen(false);
  }
  late.abort();
  unmounting = false;
  for (const signal of received) process.kill(process.pid, signal);
  received.clear();
}

/** The first of all listeners: those that the application has for one time are there still when it is called. */
function listen(on: boolean): void {
  for (const signal of SIGNALS) {
    process.off(signal, onSignal);
    if (on) process.prependListener(signal, onSignal);
  }
}

/**
 * Has something end when a signal comes, and before the signal ends the process.
 *
 * @returns A function that takes it off the list: to be called once it is out of the tree.
 */
export function beforeSignals(ending: Ending): () => void {
  if (endings.size === 0) listen(true);
  endings.add(ending);
  return () => {
    if (endings.delete(ending) && endings.size === 0) listen(false);
  };
}
