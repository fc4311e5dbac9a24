import type { Channel } from './channel.ts';
import { errnoOf } from './errors.ts';
import type { Handlers } from './handlers.ts';
import type { Mount } from './mount.ts';
import type { FuseRequest } from './request.ts';
import type { Operation, Request } from './requests/index.ts';

/** Operations that succeed where there is no handler: a filesystem without handles has nothing to do for them. */
const optional: ReadonlySet<Operation> = new Set([
  'open',
  'opendir',
  'release',
  'releasedir',
  'forget',
  'destroy',
]);

/** Any handler, with the union of requests behind it given up: TypeScript cannot hold it against the table. */
type Table = Readonly<Record<string, ((this: Handlers, request: Request) => unknown) | undefined>>;

/**
 * Serves a filesystem given as an object of handlers until its mount ends: a loop over the mount that answers
 * each request with what its handler returns.
 *
 * @param mount The mount.
 * @param handlers The filesystem: see {@link Handlers}.
 * @returns A promise for the end of the mount.
 */
export async function serve(mount: Mount, handlers: Handlers): Promise<void> {
  for await (const request of mount) answer(handlers, request);
}

/** @internal Answers a request with what its handler returns. */
export function answer(handlers: Handlers, request: Request): void {
  // The mount may have ended since the request was taken.
  if (request.replied) return;
  const { channel } = request.live();
  try {
    const handler = (handlers as Table)[request.op];
    if (handler === undefined) withoutHandler(request);
    else {
      const reply = handler.call(handlers, request);
      if (!request.replied) (request as FuseRequest<unknown>).reply(reply);
      else if (typeof reply === 'object' && reply !== null)
        Promise.resolve(reply).catch((error) => failed(channel, request, error));
    }
  } catch (error) {
    failed(channel, request, error);
  }
}

/** The handler failed. If it has answered by itself before, no caller gets the error. */
function failed(channel: Channel, request: Request, error: unknown): void {
  if (!request.replied) request.failWith(error);
  else if (errnoOf(error) === undefined) channel.report(error, request);
}

function withoutHandler(request: Request): void {
  if (optional.has(request.op)) (request as FuseRequest<unknown>).reply(undefined);
  else request.fail('ENOSYS');
}
