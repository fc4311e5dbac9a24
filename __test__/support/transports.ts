/** The transport that a run of the tests is over: what leaves it open at a mount gets this one, see `witness.ts`. */

import test, { type ExecutionContext } from 'ava';
import type { Transport } from 'ringfuse';

/** The transport of this run. */
export const transport: Transport = process.env.RINGFUSE_TEST_TRANSPORT as Transport;

/** Declares a test of what only one transport does: in a run over the other there is none. */
export function over(
  only: Transport,
  title: string,
  body: (t: ExecutionContext, transport: Transport) => Promise<void>,
): void {
  if (only === transport) test.serial(`${title} (${only})`, (t) => body(t, only));
}

/** Declares a test of behaviour that has to be the same over both transports: over that of this run. */
export function overBoth(
  title: string,
  body: (t: ExecutionContext, transport: Transport) => Promise<void>,
): void {
  over(transport, title, body);
}
