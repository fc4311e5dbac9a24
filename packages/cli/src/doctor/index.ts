/** `ringfuse doctor`: everything that a mount over FUSE-over-io_uring needs, looked at one by one. */

import { examineBinding } from './binding.ts';
import type { Check } from './check.ts';
import { examineFuse, readFuseModule } from './fuse.ts';
import { examineIdleCpus } from './idle-cpus.ts';
import { examineIoUring } from './io-uring.ts';
import { examineKernel } from './kernel.ts';
import { examinePrivileges, readAdmin } from './privileges.ts';

/** Looks at this machine as this process sees it. */
export async function examine(): Promise<Check[]> {
  const [module, admin, binding] = await Promise.all([readFuseModule(), readAdmin(), examineBinding()]);
  return [
    ...(await examineKernel(module.enableUring !== undefined)),
    ...(await examineFuse(module)),
    await examineIoUring(admin, binding.refusal),
    ...(await examinePrivileges(admin)),
    binding.check,
    ...(await examineIdleCpus()),
  ];
}
