import type { Operation, Reply, Requests } from './requests/index.ts';

/**
 * A filesystem as an object: a handler an operation. Each returns the reply, or a promise of it, or throws an
 * error whose `code` (`'ENOENT'`) or `errno` becomes the caller's. What has no handler is answered `ENOSYS`,
 * which most callers see as "not supported"; but `statfs` then answers zeros.
 */
export type Handlers = {
  [Op in Operation]?: (request: Requests[Op]) => Reply<Op> | PromiseLike<Reply<Op>>;
};
