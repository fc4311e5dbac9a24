/** A worker's module: the sandbox, whose thread asks the mount itself, synchronously, when somebody looks up `self`. */

import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Handlers, WorkerContext } from 'ringfuse';
import { sandbox } from './sandbox.ts';

export default function own({ data }: WorkerContext): Handlers {
  const handlers = sandbox();
  return {
    ...handlers,
    lookup: (request) => {
      if (request.name === 'self') statSync(join(data as string, 'file'));
      return handlers.lookup?.(request) ?? null;
    },
  };
}
