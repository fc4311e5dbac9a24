/** Tests that need a mount over the ring. */

import test, { type ExecutionContext } from 'ava';
import { examine } from '#cli/doctor/index.js';

/** What keeps this machine, though not this code, from serving over the ring. */
const obstacle = (await examine()).find(
  ({ check, status }) => status === 'problem' && check !== 'native binary',
);

/**
 * A test where the machine offers the ring: it has to fail where the ring is offered and not used. Elsewhere
 * it is skipped, and its title says why.
 */
export function ringTest(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (obstacle) test.skip(`${title} (${obstacle.check}: ${obstacle.detail})`, body);
  else test.serial(title, body);
}
