/**
 * A worker's module: the sandbox, whose thread makes a synchronous call on the mount itself when a
 * program looks up `self`.
 */

import { close, open } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Handlers, WorkerContext } from 'ringfuse';
import { sandbox } from './sandbox.ts';
import { calls } from './self-calls.ts';

export default function self({ data }: WorkerContext): Handlers {
  const { dir, name } = data as { readonly dir: string; readonly name: string };
  const handlers = sandbox();
  return {
    ...handlers,
    setattr: ({ ino }) => ({ attr: { mode: ino === 1 ? 0o40755 : 0o100644, size: 10 } }),
    lookup: async (request) => {
      if (request.name !== 'self') return handlers.lookup?.(request) ?? null;
      const fd = await promisify(open)(join(dir, 'file'), 'r+');
      try {
        calls[name]({ dir, fd, home: '/' });
      } finally {
        if (name !== 'closeSync') close(fd, () => undefined);
      }
      return null;
    },
  };
}
