import { inspect } from 'node:util';
import type { Handlers, Mount, MountOptions, WorkersOptions } from 'ringfuse';
import type { NodeTable } from 'ringfuse/system-calls';
import { attributeHandlers } from './attributes.ts';
import { BackingFiles, type MirrorMount } from './backing-files.ts';
import { directoryHandlers } from './directories.ts';
import { fileHandlers } from './files.ts';
import { LeaseWaits } from './leases.ts';
import { nameHandlers } from './names.ts';
import { type MirrorOptions, mountOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import { Privileges } from './privileges.ts';
import { Rights } from './rights.ts';
import { type Root, Source, type SourceShare } from './source.ts';

/** A directory of this machine, to be mounted once more: see {@link mirror}. */
export class Mirror {
  /** The options of `mount` that suit it. */
  readonly mountOptions: MountOptions;
  readonly #nodes: NodeTable;
  readonly #options: ResolvedOptions;

  /** @internal */
  constructor(root: Root, options: ResolvedOptions) {
    this.mountOptions = mountOptions(options, root);
    this.#nodes = root.nodes;
    this.#options = options;
  }

  /**
   * The `workers` option of `mount` with which worker threads serve it; {@link Mirror.close} is to be called when the
   * mount has ended.
   *
   * @param options What else to say of the workers, as how many there are.
   */
  workers(options: Pick<WorkersOptions, 'count' | 'pin'> = {}): WorkersOptions {
    return { ...options, module: new URL('./worker.js', import.meta.url), data: this.share };
  }

  /** What other threads of this process need to serve it too, with {@link mirrorHandlers}: plain data. */
  get share(): SourceShare {
    return { nodes: this.#nodes.id, options: this.#options };
  }

  /** How many files the kernel knows. */
  get nodes(): number {
    return this.#nodes.size;
  }

  /** Handlers for `serve` on this thread. When the mount ends, they close the mirror. */
  handlers(mount: MirrorMount & Pick<Mount, 'closed'>): Handlers {
    const close = (): void => this.close();
    // Before anything that waits for `closed` from now on runs: the source can be unmounted then.
    void mount.closed.then(close, close);
    return mirrorHandlers(mount, this.share);
  }

  /** Closes all that it has open. No thread may serve it any more. */
  close(): void {
    this.#nodes.close();
  }
}

/**
 * A directory of this machine as a filesystem, with all that the filesystem beneath it can do: what a call on the mirror
 * does is what the same call does on the directory, errors included.
 *
 * It works with descriptors and single names, never with paths: whatever somebody renames or replaces by a symbolic
 * link meanwhile, nothing outside of the directory is reached. Filesystems that are mounted in it are part of it, but for
 * what this process serves itself, and for mirrors and overlays that lead to it: EDEADLK. Files of procfs, sysfs and
 * their like are EACCES: see {@link MirrorOptions.kernelFilesystems}. The directory is opened at once, so that the mirror
 * may be mounted on it.
 *
 * As root, files belong to whoever made them, and the kernel checks permissions (`defaultPermissions`), ACLs too. Files
 * that the kernel knows take descriptors: the process's limit is raised as far as it may be, and from its half on file
 * handles take their place, where the source has them and the process is root. Where neither can be had, callers get
 * ENFILE.
 *
 * @param path The directory.
 * @param options See {@link MirrorOptions}.
 * @returns The mirror: mount it with its `mountOptions`, and serve its `handlers`.
 * @throws FuseError with the errno if the directory cannot be opened, or is one of the above; TypeError for a path or
 *   an option that cannot be.
 */
export function mirror(path: string, options: MirrorOptions = {}): Mirror {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new TypeError(`mirror: path must be the path of a directory, not ${inspect(path)}`);
  }
  const resolved = resolveOptions(options);
  return new Mirror(Source.open(path, resolved), resolved);
}

/**
 * Handlers for one thread of several that serve a mirror.
 *
 * @param mount The mount, or what stands for it on this thread.
 * @param share The {@link Mirror.share} of the thread that has the mirror.
 */
export function mirrorHandlers(mount: MirrorMount, share: SourceShare): Handlers {
  const source = new Source(share);
  const backing = new BackingFiles(mount, source.nodes);
  const privileges = new Privileges(source);
  const rights = new Rights(source);
  const leases = new LeaseWaits(mount);
  return {
    ...nameHandlers(source, backing, rights),
    ...attributeHandlers(source, privileges, rights, leases),
    ...directoryHandlers(source, backing),
    ...fileHandlers(source, backing, privileges, rights, leases, mount.notify),
  };
}
