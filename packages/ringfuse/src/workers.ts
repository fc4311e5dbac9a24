import type { NativeMount } from './binding.ts';
import type { ChannelSettings } from './channel.ts';
import { errorOf } from './foreign-errors.ts';
import { threadOf } from './notifier.ts';
import type { Stall } from './stalls.ts';
import type { WorkersOptions } from './worker-context.ts';
import type { News, Retrieved } from './worker-messages.ts';
import { WorkerThread } from './worker-thread.ts';

/** A worker that lived so many milliseconds was no failure of its module from the start. */
const LONG_LIFE = 1000;

/** Workers in the same place that may end one after the other, each sooner than {@link LONG_LIFE}. */
const SHORT_LIVES = 3;

/** Where the workers' news and troubles go. */
export interface WorkersOwner {
  /** An error that no caller can be told of. */
  report(error: unknown): void;
  /** A worker did not come to its requests. */
  stalled(stall: Stall): void;
  /** The kernel's answer to a notification of this thread. */
  retrieved(unique: bigint, data: Buffer): void;
  /** The connection to the kernel ended, or there is nobody left to serve it: then an error. */
  ended(error?: unknown): void;
}

/** The workers that serve a mount: one that dies is replaced, and its requests are answered EIO. */
export class Workers {
  readonly #native: NativeMount;
  readonly #options: WorkersOptions;
  readonly #groups: readonly (readonly number[])[];
  readonly #channel: ChannelSettings;
  readonly #owner: WorkersOwner;
  readonly #threads: WorkerThread[];
  #keepAlive = true;
  #ended = false;

  /** `groups` are the queues of each worker. */
  constructor(
    native: NativeMount,
    options: WorkersOptions,
    groups: readonly (readonly number[])[],
    channel: ChannelSettings,
    owner: WorkersOwner,
  ) {
    this.#native = native;
    this.#options = options;
    this.#groups = groups;
    this.#channel = channel;
    this.#owner = owner;
    this.#threads = this.#groups.map((_, index) => this.#make(index));
  }

  /** Lets the kernel's requests through once all modules are loaded; rejects with the error of one that is not. */
  async start(finish: () => void): Promise<void> {
    await Promise.all(this.#threads.map(({ ready }) => ready));
    finish();
    for (const thread of this.#threads) thread.tell({ type: 'start' });
    await Promise.all(this.#threads.map(({ started }) => started));
    for (const index of this.#threads.keys()) void this.#watch(index, 0);
  }

  /** Requests that handlers hold. */
  get outstanding(): number {
    return this.#native.stats().outstanding;
  }

  /** No request is for this thread. */
  next(): undefined {
    return undefined;
  }

  /** Whether the workers keep the process alive: so they do at first. */
  setRef(keepAlive: boolean): void {
    this.#keepAlive = keepAlive;
    for (const thread of this.#threads) thread.setRef(keepAlive);
  }

  /** The mount has ended: resolves when all threads have, too. */
  async close(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }

  #make(index: number): WorkerThread {
    const { module, pin = true, data } = this.#options;
    const settings = {
      token: this.#native.token,
      index,
      count: this.#groups.length,
      cpus: this.#groups[index],
      pin,
      module: String(module),
      channel: this.#channel,
      data,
    };
    return new WorkerThread(settings, (news) => this.#hear(news));
  }

  /** Replaces the worker in place `index` when it dies; `shortLives` of those before it did so at once. */
  async #watch(index: number, shortLives: number): Promise<void> {
    const began = performance.now();
    const error = await this.#threads[index].exited;
    if (this.#ended) return;
    this.#owner.report(error);
    const lives = performance.now() - began < LONG_LIFE ? shortLives + 1 : 0;
    if (lives >= SHORT_LIVES) return this.#owner.ended(error);
    try {
      await this.#replace(index);
    } catch (failed) {
      if (!this.#ended) this.#owner.ended(failed);
      return;
    }
    void this.#watch(index, lives);
  }

  async #replace(index: number): Promise<void> {
    const thread = this.#make(index);
    thread.setRef(this.#keepAlive);
    this.#threads[index] = thread;
    await thread.ready;
    thread.tell({ type: 'start' });
    await thread.started;
  }

  #hear(news: News): void {
    switch (news.type) {
      case 'ended':
        if (!this.#ended) this.#owner.ended(news.error && errorOf(news.error));
        break;
      case 'report':
        this.#owner.report(errorOf(news.error));
        break;
      case 'stalled':
        this.#owner.stalled(news.stall);
        break;
      case 'retrieved':
        this.#route(news);
        break;
    }
  }

  /** To the thread that asked: this one, or a worker. */
  #route(answer: Retrieved): void {
    const thread = threadOf(answer.unique);
    if (thread === 0) this.#owner.retrieved(answer.unique, Buffer.from(answer.data));
    else this.#threads[thread - 1]?.tell(answer);
  }
}
