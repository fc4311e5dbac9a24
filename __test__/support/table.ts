/** Rows of the documentation that tests stand for: `scripts/tables.mjs` makes the tables of those that passed. */

import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { Transport } from 'ringfuse';
import { transport } from './transports.ts';

/** What a test may depend on beside the kernel. */
export interface Needs {
  /** Why it cannot run here. */
  readonly missing?: string | undefined;
  /** Default: both. */
  readonly transports?: readonly Transport[];
}

/** The path of the test in the repository: compiled, it is below `build`. */
const source = relative('build', fileURLToPath(test.meta.file)).replace(/\.js$/, '.ts');

/** One table. What an earlier run of this file over this transport recorded in it is forgotten. */
export class Table<Row extends object> {
  readonly #file: string;

  /** `name` is that of a module in `scripts/tables`. */
  constructor(name: string) {
    this.#file = join('target/test-results', name, transport, `${source}.jsonl`);
    mkdirSync(dirname(this.#file), { recursive: true });
    rmSync(this.#file, { force: true });
  }

  /** Declares a test over this run's transport that stands for `rows`. */
  test(
    title: string,
    rows: readonly Row[],
    body: (t: ExecutionContext, transport: Transport) => Promise<void>,
    { missing, transports = [transport] }: Needs = {},
  ): void {
    if (!transports.includes(transport)) return;
    this.#record(rows, { missing, passed: false });
    if (missing !== undefined) {
      test.skip(`${title} (${transport}) (${missing})`, body, transport);
      return;
    }
    test.serial(`${title} (${transport})`, async (t) => {
      await body(t, transport);
      this.#record(rows, { passed: true });
    });
  }

  #record(rows: readonly Row[], state: { missing?: string | undefined; passed: boolean }): void {
    for (const row of rows) {
      appendFileSync(this.#file, `${JSON.stringify({ ...row, transport, test: source, ...state })}\n`);
    }
  }
}
