import { Worker } from 'node:worker_threads';
import { FuseError } from './errors.ts';
import { recordOf } from './foreign-errors.ts';
import type { News, Order, WorkerSettings } from './worker-messages.ts';

/** Milliseconds that a worker has to end by itself once its mount has ended. */
const END_TIMEOUT = 1000;

/** One worker of a mount, as the thread that made it sees it. */
export class WorkerThread {
  /** Resolves when its module is loaded. Rejects, as does {@link WorkerThread.started}, if it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when the kernel has its slots. */
  readonly started: Promise<void>;
  /** Resolves when the thread has ended, to the error that ended it if there was one. */
  readonly exited: Promise<FuseError | undefined>;
  readonly #worker: Worker;

  constructor(settings: WorkerSettings, onNews: (news: News) => void) {
    const worker = new Worker(program(), {
      workerData: settings,
      name: `ringfuse ${settings.index}`,
    });
    this.#worker = worker;
    let cause: unknown;
    this.exited = new Promise((resolve) => {
      worker.once('error', (error) => {
        cause = error;
      });
      worker.once('exit', (code) => {
        resolve(code === 0 && cause === undefined ? undefined : died(settings, code, cause));
      });
    });
    worker.on('message', onNews);
    this.ready = this.#heard('ready');
    this.started = this.#heard('started');
  }

  tell(order: Order): void {
    this.#worker.postMessage(order);
  }

  setRef(keepAlive: boolean): void {
    if (keepAlive) this.#worker.ref();
    else this.#worker.unref();
  }

  /** The mount has ended: resolves when the thread has, too. */
  async end(): Promise<void> {
    this.tell({ type: 'end' });
    const timer = setTimeout(() => void this.#worker.terminate(), END_TIMEOUT);
    await this.exited;
    clearTimeout(timer);
  }

  #heard(type: News['type']): Promise<void> {
    const heard = new Promise<void>((resolve, reject) => {
      this.#worker.on('message', (news: News) => {
        if (news.type === type) resolve();
      });
      void this.exited.then((error) => {
        reject(error ?? new FuseError('ERR_RINGFUSE_WORKER', 'a worker ended before it served'));
      });
    });
    // Whoever does not wait for it hears of the end all the same.
    heard.catch(() => undefined);
    return heard;
  }
}

/** The file that workers run, beside this one: a bundler that takes this module into another file leaves it behind. */
function program(): URL {
  if (import.meta.url.endsWith('/worker-thread.js')) return new URL('./worker.js', import.meta.url);
  throw new FuseError(
    'ERR_RINGFUSE_WORKER',
    'workers load files of the packages ringfuse and @ringfuse/fs, which are not in a bundle: keep both external ' +
      '(`esbuild --external:ringfuse --external:@ringfuse/fs`)',
  );
}

function died({ index, module }: WorkerSettings, code: number, cause: unknown): FuseError {
  const why = cause === undefined ? `exit code ${code}` : recordOf(cause).message;
  return new FuseError('ERR_RINGFUSE_WORKER', `worker ${index} (${module}) ended: ${why}`, { cause });
}
