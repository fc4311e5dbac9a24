/**
 * Tests of the protocol that say what they cover: `scripts/protocol-table.mjs` makes `docs/protocol.md` of what
 * passed.
 */

import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { Transport } from 'ringfuse';

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

/** What a test may depend on beside the kernel. */
export interface Needs {
  /** Why it cannot run here. */
  readonly missing?: string | undefined;
  /** Default: both. */
  readonly transports?: readonly Transport[];
}

const file = basename(fileURLToPath(test.meta.file), '.js');
const directory = join(process.cwd(), 'build/protocol-results');
const results = join(directory, `${file}.jsonl`);
mkdirSync(directory, { recursive: true });
rmSync(results, { force: true });

function record(coverage: readonly Coverage[], transport: Transport, missing?: string): void {
  for (const row of coverage) {
    appendFileSync(results, `${JSON.stringify({ ...row, transport, test: file, missing })}\n`);
  }
}

/** A test on each transport, whose coverage is recorded if it passes. */
export function protocolTest(
  title: string,
  coverage: readonly Coverage[],
  body: (t: ExecutionContext, transport: Transport) => Promise<void>,
  { missing, transports = ['io_uring', 'dev_fuse'] }: Needs = {},
): void {
  for (const transport of transports) {
    if (missing !== undefined) {
      record(coverage, transport, missing);
      test.skip(`${title}, ${transport} (${missing})`, body, transport);
      continue;
    }
    test.serial(`${title}, ${transport}`, async (t) => {
      await body(t, transport);
      record(coverage, transport);
    });
  }
}
