/** What counts in the end: a mount is made, asked for its root, and taken away again. */

import { mkdtemp, rmdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mount } from '../mount.ts';
import type { Transport } from '../options.ts';
import { serve } from '../serve.ts';
import { type Check, ok, problem } from './check.ts';

/** Milliseconds that the mount has to answer. */
const ANSWER_TIMEOUT = 5000;

const NAMES: Readonly<Record<Transport, string>> = {
  io_uring: 'mount over io_uring',
  dev_fuse: 'mount over /dev/fuse',
};

/** Mounts over a transport. */
export async function tryMount(transport: Transport): Promise<Check> {
  try {
    await mountOnce(transport);
    return ok(NAMES[transport], 'was made, answered, and is gone');
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return problem(NAMES[transport], detail, 'see the findings above');
  }
}

async function mountOnce(transport: Transport): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'ringfuse-doctor-'));
  try {
    const fs = await mount(dir, { name: 'ringfuse-doctor', transport, handleSignals: true });
    try {
      const served = serve(fs, { getattr: () => ({ attr: { mode: 0o40755 } }) });
      served.catch(() => undefined);
      const answered = stat(dir).then(() => true);
      answered.catch(() => undefined);
      if (!(await Promise.race([answered, sleep(ANSWER_TIMEOUT, false, { ref: false })])))
        throw new Error(`it did not answer within ${ANSWER_TIMEOUT / 1000} s`);
    } finally {
      await fs.destroy();
    }
  } finally {
    await rmdir(dir);
  }
}
