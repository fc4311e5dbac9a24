import { binding } from '../native.ts';

/**
 * The mounts whose requests come to this process, whichever of its threads serves them: the minor numbers of their
 * `st_dev`, whose major number is 0. A thread that uses one of these mounts may wait for itself.
 */
export function ownConnections(): number[] {
  return binding().ownConnections();
}
