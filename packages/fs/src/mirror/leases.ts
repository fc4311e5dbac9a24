import { constants } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { FuseError } from 'ringfuse';

const { EAGAIN } = constants.errno;

/** Milliseconds between two tries: from the first to the longest. */
const FIRST_WAIT = 1;
const LONGEST_WAIT = 100;

/** One wait for so many slots of a queue: the others are left for requests that do not wait. */
const SLOTS_PER_WAIT = 4;

/** The requests of one thread that wait for the holder of a lease, fcntl(2). Each of them takes a slot. */
export class LeaseWaits {
  #free: number;

  /** @param queueDepth Slots of each queue of the thread. */
  constructor({ queueDepth }: { readonly queueDepth: number }) {
    this.#free = Math.floor(queueDepth / SLOTS_PER_WAIT);
  }

  /**
   * Calls `open`, which opens a file with O_NONBLOCK, again and again while another process's lease on the file blocks
   * it. The kernel revokes the lease after `fs.lease-break-time`, 45 seconds by default. Other requests are served
   * meanwhile.
   *
   * @param request Its signal ends the wait with EINTR.
   * @throws FuseError What `open` throws; EAGAIN if too many requests wait already.
   */
  after<T>(request: { readonly signal: AbortSignal }, open: () => T): T | Promise<T> {
    try {
      return open();
    } catch (error) {
      if (!isLeased(error) || this.#free === 0) throw error;
    }
    this.#free--;
    return retry(request.signal, open).finally(() => this.#free++);
  }
}

async function retry<T>(signal: AbortSignal, open: () => T): Promise<T> {
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    await setTimeout(wait);
    if (signal.aborted) throw new FuseError('EINTR');
    try {
      return open();
    } catch (error) {
      if (!isLeased(error)) throw error;
    }
  }
}

const isLeased = (error: unknown): boolean => FuseError.is(error) && error.errno === -EAGAIN;
