/** An application with work of its own. */

/** Keeps the event loop busy with turns of so many milliseconds until `ended` is. */
export function keepBusy(milliseconds: number, ended: Promise<void>): void {
  let over = false;
  const stop = () => {
    over = true;
  };
  ended.then(stop, stop);
  const turn = () => {
    if (over) return;
    const end = performance.now() + milliseconds;
    while (performance.now() < end);
    setImmediate(turn);
  };
  turn();
}
