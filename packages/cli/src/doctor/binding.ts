/** The native binary, and what it alone can find out. */

import { type Check, ok, problem } from './check.ts';

/** The finding on the binary, and why it could not have a ring of the kernel: undefined where it could. */
export interface Binding {
  readonly check: Check;
  readonly refusal: string | undefined;
}

/** Loads the native binary, and asks the kernel for a ring with it. */
export async function examineBinding(): Promise<Binding> {
  const check = 'native binary';
  try {
    const { probeIoUring } = await import('ringfuse');
    const refusal = probeIoUring();
    return { check: ok(check, 'loads'), refusal };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return {
      check: problem(check, detail, 'npm install ringfuse; in a clone: npm run build'),
      refusal: undefined,
    };
  }
}
