/** The module that workers load: the tiny filesystem, with names that all of them share. */

import type { Handlers, WorkerContext } from 'ringfuse';
import { SharedNames } from './names.ts';
import { Tiny } from './tiny.ts';

export default function serveTiny({ data }: WorkerContext): Handlers {
  return new Tiny(new SharedNames(data as SharedArrayBuffer));
}
