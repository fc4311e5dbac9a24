/** A mount that lives as long as its command. */

import { type Mount, type MountOptions, mount } from 'ringfuse';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Milliseconds after which a signal ends the process although the unmount has not: `process.exit` forces it. */
const DEADLINE = 8000;

/** What a command mounts. */
export interface Filesystem {
  readonly options: MountOptions;
  /** Serves the mount, on this thread or others, until it ends. */
  serve(fs: Mount): Promise<void>;
}

/**
 * Mounts on `dir` and serves requests until SIGINT, SIGTERM or SIGHUP comes, or somebody else
 * unmounts. `announce` is given one line once requests are served. Rejects with the mount's error.
 */
export async function serveInForeground(
  dir: string,
  { options, serve }: Filesystem,
  announce: (line: string) => void,
): Promise<void> {
  // Listened to before mounting and ever after: no signal may end the process with the filesystem mounted.
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of SIGNALS) process.on(signal, () => resolve());
  });
  void interrupted.then(() => setTimeout(() => process.exit(1), DEADLINE).unref());
  const fs = await mount(dir, options);
  let served: Promise<void> | undefined;
  try {
    served = serve(fs);
    announce(`ringfuse: mounted ${dir} (${describeTransport(fs)})`);
    await Promise.race([served, interrupted]);
  } finally {
    await fs.close();
  }
  await served;
}

function describeTransport(fs: Mount): string {
  if (fs.transport === 'dev_fuse') return `dev_fuse: ${fs.transportReason}`;
  return `io_uring, ${fs.queues} queues x ${fs.queueDepth}`;
}
