/**
 * When to look for the next request instead of sleeping: an idle CPU, above all a virtual one, is slow to wake,
 * so a short look is cheaper than a sleep when the next request is near, and wasted when it is not.
 */

/** Longest look, microseconds: what waking up costs on machines where that is dear. */
const LOOK = 50;

/** Requests that come within so many milliseconds after a reply make it worth to look for the next one. */
const NEAR = 0.4;

/** Looks in vain, one after the other, until looking stops. */
const PATIENCE = 4;

/** Decides by how soon the last requests came. */
export class Polling {
  #inVain: number = PATIENCE;
  #parkedAt = 0;

  /** How long to look now, microseconds: 0 if the last requests were far apart. */
  get look(): number {
    return this.#inVain < PATIENCE ? LOOK : 0;
  }

  /** A look found a request, or not. */
  looked(found: boolean): void {
    this.#inVain = found ? 0 : this.#inVain + 1;
  }

  /** Nothing is ready: the thread goes to sleep. */
  park(now: number): void {
    this.#parkedAt = now;
  }

  /** A request woke the thread. */
  wake(now: number): void {
    if (now - this.#parkedAt < NEAR) this.#inVain = Math.min(this.#inVain, PATIENCE - 1);
  }
}
