import { constants } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { FuseError } from 'ringfuse';

const { EAGAIN } = constants.errno;

/** Milliseconds between two tries: from the first to the longest. */
const FIRST_WAIT = 1;
const LONGEST_WAIT = 100;

/**
 * Calls `open`, which opens a file with O_NONBLOCK, again and again for as long as somebody else's lease on the file,
 * fcntl(2), holds it off: the kernel takes the lease away after `fs.lease-break-time`, 45 seconds, at the latest. Other
 * requests are served meanwhile.
 *
 * @param request Its signal ends the wait with EINTR.
 * @throws FuseError What `open` throws, other than EAGAIN.
 */
export function afterLeases<T>(request: { readonly signal: AbortSignal }, open: () => T): T | Promise<T> {
  try {
    return open();
  } catch (error) {
    if (!isLeased(error)) throw error;
    return retry(request.signal, open);
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
