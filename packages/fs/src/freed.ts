import { MessageChannel, type MessagePort } from 'node:worker_threads';

/** Memory is given back once so many bytes or buffers wait for it. */
const MOST_BYTES = 1 << 20;
const MOST_BUFFERS = 256;

let waiting: ArrayBuffer[] = [];
let waitingBytes = 0;
let nowhere: MessagePort | undefined;

/** A closed port: what is transferred to it is detached and freed. */
function closedPort(): MessagePort {
  const { port1 } = new MessageChannel();
  port1.close();
  return port1;
}

/**
 * Gives the memory of a buffer back, without a garbage collection: an idle process has none. The buffer must own all of
 * its `ArrayBuffer`, and nobody may use that afterwards. Up to {@link MOST_BYTES} wait for the next one.
 */
export function free(buffer: Buffer<ArrayBuffer>): void {
  waiting.push(buffer.buffer);
  waitingBytes += buffer.length;
  if (waitingBytes < MOST_BYTES && waiting.length < MOST_BUFFERS) return;
  nowhere ??= closedPort();
  nowhere.postMessage(null, waiting);
  waiting = [];
  waitingBytes = 0;
}
