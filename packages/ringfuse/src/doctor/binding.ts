/** The native binary, and what it alone can find out. */

import type { FuseError } from '../errors.ts';
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
    const { probeIoUring } = await import('../probe.ts');
    const refusal = probeIoUring();
    return { check: ok(check, 'loads'), refusal };
  } catch (error) {
    const { code, message } = error as FuseError;
    const remedy =
      code === 'ERR_RINGFUSE_RUNTIME' ? 'node' : 'npm install ringfuse; in a clone: npm run build';
    return { check: problem(check, message, remedy), refusal: undefined };
  }
}
