/** Handlers that count what they are asked for. */

import { type Handlers, type Operation, operations, type Request } from 'ringfuse';

type Table = Readonly<Record<string, ((request: Request) => unknown) | undefined>>;

/** `handlers`, and how often each of them was called. */
export function counted(handlers: Handlers): {
  readonly handlers: Handlers;
  count(op: Operation): number;
} {
  const counts = new Map<Operation, number>();
  const count = (op: Operation): number => counts.get(op) ?? 0;
  const table = handlers as Table;
  const counting = operations
    .filter((op) => table[op] !== undefined)
    .map((op) => [
      op,
      (request: Request) => {
        counts.set(op, count(op) + 1);
        return table[op]?.call(handlers, request);
      },
    ]);
  return { handlers: Object.fromEntries(counting) as Handlers, count };
}
