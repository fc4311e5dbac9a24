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

/**
 * Declares a test of behaviour that has to be the same over both transports: over that of this run. It is skipped if
 * something is `missing`.
 */
export function overBoth(
  title: string,
  body: (t: ExecutionContext, transport: Transport) => Promise<void>,
  missing?: string,
): void {
  if (missing === undefined) over(transport, title, body);
  else test.skip(`${title} (${missing})`, (t) => body(t, transport));
}

/** Declares a test that does not depend on the transport; it is skipped if something is `missing`. */
export function testUnless(
  missing: string | undefined,
  title: string,
  body: (t: ExecutionContext) => Promise<void>,
): void {
  if (missing === undefined) test.serial(title, body);
  else test.skip(`${title} (${missing})`, body);
}
