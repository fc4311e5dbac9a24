import { FuseError } from './errors.ts';
import { type PromiseWithResolvers, withResolvers } from './promises.ts';
import type { Request } from './requests/index.ts';

/** The loop over a mount's requests, of which there is one in a mount's life. */
export class Iteration implements AsyncIterator<Request, undefined> {
  readonly #take: () => Request | undefined;
  readonly #leave: () => Promise<void>;
  #waiting: PromiseWithResolvers<IteratorResult<Request, undefined>> | undefined;
  #ended = false;
  #error: unknown;
  #begun = false;

  /**
   * `take` gives the next request if one is ready; {@link Iteration.ready} is to be called when one is later.
   * `leave` ends the mount.
   */
  constructor(take: () => Request | undefined, leave: () => Promise<void>) {
    this.#take = take;
    this.#leave = leave;
  }

  /** Whether somebody iterates, or has. */
  get begun(): boolean {
    return this.#begun;
  }

  begin(): this {
    if (this.#begun) throw new FuseError('ERR_RINGFUSE_ITERATED', 'the mount is iterated over already');
    this.#begun = true;
    return this;
  }

  next(): Promise<IteratorResult<Request, undefined>> {
    // Taking the next request may find the end.
    const request = this.#ended ? undefined : this.#take();
    if (request !== undefined) return Promise.resolve({ done: false, value: request });
    if (this.#waiting !== undefined) {
      return Promise.reject(new FuseError('ERR_RINGFUSE_ITERATED', 'next() waits for a request already'));
    }
    this.#waiting = withResolvers();
    const { promise } = this.#waiting;
    if (this.#ended) this.#settle();
    return promise;
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.#leave();
    return { done: true, value: undefined };
  }

  /** Requests are ready. */
  ready(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const request = this.#take();
    if (request === undefined || this.#waiting !== waiting) return;
    this.#waiting = undefined;
    waiting.resolve({ done: false, value: request });
  }

  /** The mount has ended; the loop throws the error, if there is one. */
  end(error: unknown): void {
    this.#ended = true;
    this.#error = error;
    this.#settle();
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (this.#error === undefined) waiting?.resolve({ done: true, value: undefined });
    else waiting?.reject(this.#error);
  }
}
