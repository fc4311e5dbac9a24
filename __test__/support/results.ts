/** Tests of the protocol that say what they cover, for `docs/protocol.md`. */

import type { ExecutionContext } from 'ava';
import type { Transport } from 'ringfuse';
import { type Needs, Table } from './table.ts';

/** What a test covers: one row of the table, on each transport. */
export interface Coverage {
  readonly kind: 'operation' | 'capability' | 'notification' | 'open flag';
  /** As the protocol names it. */
  readonly name: string;
  /** The system call that the test makes. */
  readonly call: string;
  /** What the test shows. */
  readonly result: string;
}

const table = new Table<Coverage>('protocol');

/** A test over the run's transport, whose coverage is recorded if it passes. */
export function protocolTest(
  title: string,
  coverage: readonly Coverage[],
  body: (t: ExecutionContext, transport: Transport) => Promise<void>,
  needs: Needs = {},
): void {
  table.test(title, coverage, body, needs);
}
