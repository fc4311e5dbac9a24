/** @internal The program of a worker: serves one channel of a mount that another thread made. */

import { pathToFileURL } from 'node:url';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Channel, type ChannelOwner } from './channel.ts';
import { Connection } from './connection.ts';
import { recordOf } from './foreign-errors.ts';
import type { Handlers } from './handlers.ts';
import { binding } from './native.ts';
import { answer } from './serve.ts';
import type { WorkerContext, WorkerModule } from './worker-context.ts';
import type { News, Order, WorkerSettings } from './worker-messages.ts';

const settings = workerData as WorkerSettings;
const port = parentPort as MessagePort;
const tell = (news: News): void => port.postMessage(news);

const { index, count, cpus, data } = settings;
if (settings.pin) binding().pinThread(cpus);
const native = binding().NativeMount.attach(settings.token);
const connection = new Connection(native, index + 1);
const handlers = await load({ mount: connection, data, index, count, cpus });

const owner: ChannelOwner = {
  ready() {
    for (let request = channel.next(); request !== undefined; request = channel.next()) {
      answer(handlers, request);
    }
  },
  retrieved(unique, bytes) {
    if (!connection.notify.retrieved(unique, bytes)) tell({ type: 'retrieved', unique, data: bytes });
  },
  stalled: (stall) => tell({ type: 'stalled', stall }),
  ended: end,
  report: (error, request) => tell({ type: 'report', error: recordOf(error, `${request?.op ?? 'mount'}: `) }),
};
const channel = new Channel(native.channel(index), settings.channel, owner);

const orders: { readonly [Type in Order['type']]: (order: Extract<Order, { type: Type }>) => void } = {
  start() {
    channel.join(false);
    tell({ type: 'started' });
    // Some may be there already; the event loop only tells of those that come.
    owner.ready();
  },
  end: () => end(),
  retrieved: ({ unique, data }) => connection.notify.retrieved(unique, Buffer.from(data)),
};
port.on('message', (order: Order) => (orders[order.type] as (order: Order) => void)(order));
tell({ type: 'ready' });

/** Lets go of the mount. The thread ends when the module has nothing more to do either. */
function end(error?: unknown): void {
  tell({ type: 'ended', error: error === undefined ? undefined : recordOf(error) });
  connection.endConnection();
  channel.close();
  native.detach();
  port.close();
}

async function load(context: WorkerContext): Promise<Handlers> {
  const { module } = settings;
  const url = module.startsWith('/') ? pathToFileURL(module).href : module;
  const { default: filesystem } = (await import(url)) as WorkerModule;
  const made = typeof filesystem === 'function' ? await filesystem(context) : filesystem;
  if (typeof made === 'object' && made !== null) return made;
  throw new TypeError(`${module}: its default export must be handlers, or a function that returns them`);
}
