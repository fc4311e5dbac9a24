/** Behaviour that has to be the same over both transports. */

import test, { type ExecutionContext } from 'ava';
import type { Transport } from 'ringfuse';
import { ringTest } from './ring.ts';

/** Declares a test for each transport; that over the ring is skipped, with the reason, where there is none. */
export function overBoth(
  title: string,
  body: (t: ExecutionContext, transport: Transport) => Promise<void>,
): void {
  ringTest(`${title} (io_uring)`, (t) => body(t, 'io_uring'));
  test.serial(`${title} (dev_fuse)`, (t) => body(t, 'dev_fuse'));
}
