/** What must be done before a signal ends the process. */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const actions = new Set<() => Promise<void>>();

/** Does what is to be done, and then lets the signal have its usual effect. */
async function onSignal(signal: NodeJS.Signals): Promise<void> {
  for (const each of SIGNALS) process.off(each, onSignal);
  await Promise.allSettled(Array.from(actions, (action) => action()));
  // With listeners of the application's own, it is theirs to end the process.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

/**
 * Runs `action` when a signal is about to end the process.
 *
 * @returns A function that takes it back.
 */
export function beforeSignals(action: () => Promise<void>): () => void {
  if (actions.size === 0) for (const signal of SIGNALS) process.on(signal, onSignal);
  actions.add(action);
  return () => {
    actions.delete(action);
    if (actions.size === 0) for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}
