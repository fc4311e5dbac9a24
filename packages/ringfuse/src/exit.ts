/** What a process that exits must do first: `process.on('exit')` runs no promise, so it is done there and then. */

const last = new Set<() => void>();

function runAll(): void {
  for (const action of last) action();
}

/**
 * Runs `action` when the process exits.
 *
 * @returns A function that takes it back.
 */
export function atExit(action: () => void): () => void {
  if (last.size === 0) process.on('exit', runAll);
  last.add(action);
  return () => {
    last.delete(action);
    if (last.size === 0) process.off('exit', runAll);
  };
}
