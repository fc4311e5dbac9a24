/**
 * How a serving thread waits: when it looks for the next request instead of sleeping, and where it runs. An idle CPU,
 * above all a virtual one, is slow to wake: a short look is cheaper than a sleep when the next request is near, and
 * wasted when it is not.
 *
 * The thread is in one of three states. *Asleep*, in the event loop, it costs nothing; so it is at first. A request
 * that wakes it within `near` of its falling asleep makes it *attentive*: after each batch it looks for more, for up to
 * `look` at a time, giving the CPU up to whoever wants it between two glances, and for `loopTurn` at most until the
 * event loop has its turn. `patience` looks in vain, one after the other, send it to sleep again.
 */
export interface PollingOptions {
  /** Longest look, microseconds: 0 … 10000. 0: never look. Default 50: about what waking up costs where it is dear. */
  readonly look?: number;
  /** A request that comes within so many microseconds of falling asleep makes attentive. Default 400. */
  readonly near?: number;
  /** Looks in vain, one after the other, that send to sleep: 1 … 1000. Default 4. */
  readonly patience?: number;
  /**
   * Batches of requests in a row from one CPU after which a thread that serves all of them moves to that CPU: 0 … 1000.
   * 0: never. Default 4. Workers are where their requests are, see `WorkersOptions.pin`.
   */
  readonly follow?: number;
  /** Milliseconds after which the event loop has its turn although requests are ready: 0 … 1000. Default 2. */
  readonly loopTurn?: number;
}

/** Options of polling with their defaults. */
export type ResolvedPolling = Required<PollingOptions>;

/** Fills the defaults in. */
export function resolvePolling(options: PollingOptions = {}): ResolvedPolling {
  const { look = 50, near = 400, patience = 4, follow = 4, loopTurn = 2 } = options;
  return { look, near, patience, follow, loopTurn };
}

/** The least and the most that each option may be, in whole numbers. */
export const POLLING_RANGES: { readonly [Option in keyof ResolvedPolling]: readonly [number, number] } = {
  look: [0, 10_000],
  near: [0, 1_000_000],
  patience: [1, 1000],
  follow: [0, 1000],
  loopTurn: [0, 1000],
};

/** Decides by how soon the last requests came whether to look for the next one. */
export class Polling {
  readonly #look: number;
  /** Milliseconds, as the times given to it. */
  readonly #near: number;
  readonly #patience: number;
  #inVain: number;
  #parkedAt = 0;

  constructor({ look, near, patience }: ResolvedPolling) {
    this.#look = look;
    this.#near = near / 1000;
    this.#patience = patience;
    this.#inVain = patience;
  }

  /** How long to look now, microseconds: 0 if the last requests were far apart. */
  get look(): number {
    return this.#inVain < this.#patience ? this.#look : 0;
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
    if (now - this.#parkedAt < this.#near) this.#inVain = Math.min(this.#inVain, this.#patience - 1);
  }
}
