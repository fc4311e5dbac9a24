/**
 * `ringfuse doctor`: everything that a mount over FUSE-over-io_uring needs, looked at one by one, and a mount that is
 * tried. What is looked at explains what the trial says; the trial has the last word.
 */

import { examineBinding } from './binding.ts';
import type { Check, Findings } from './check.ts';
import { examineFuse, readFuseModule } from './fuse.ts';
import { examineIdleCpus } from './idle-cpus.ts';
import { examineIoUring } from './io-uring.ts';
import { examineKernel } from './kernel.ts';
import { examinePrivileges, readUser } from './privileges.ts';
import { report } from './report.ts';
import { tryMount } from './trial.ts';

export type { Check, Findings } from './check.ts';

/** Looks at this machine as this process sees it. */
export async function examine(): Promise<Findings> {
  const [module, user, binding] = await Promise.all([readFuseModule(), readUser(), examineBinding()]);
  const checks: Check[] = [
    ...(await examineKernel(module.enableUring !== undefined)),
    ...(await examineFuse(module)),
    await examineIoUring(user.admin ?? false, binding.refusal),
    ...(await examinePrivileges(user)),
    binding.check,
    ...(await examineIdleCpus()),
  ];
  const ring = await tryMount('io_uring');
  if (ring.status === 'ok') return { ring: true, devFuse: true, checks: [...checks, ring] };
  const device = await tryMount('dev_fuse');
  return { ring: false, devFuse: device.status === 'ok', checks: [...checks, ring, device] };
}

/** Prints the findings, as text or as JSON. The exit code is 0 if a mount has the ring here, and 1 otherwise. */
export async function doctor(json: boolean): Promise<void> {
  const findings = await examine();
  process.stdout.write(report(findings, json));
  process.exitCode = findings.ring ? 0 : 1;
}
