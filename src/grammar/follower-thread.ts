/**
 * A grammar thread with its lines to the engines: it compiles grammars and follows them for requests.
 * It is given up where a mask takes for ever, and begun again with the next grammar. Knows threads, not structures.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { workerFile } from '../text/worker-file.js';
import { DeadlineThread, ThreadLost } from './deadline-thread.js';
import type { GrammarAnswer, GrammarCommand, GrammarWorkerData, GrammarWorkerSetup } from './grammar-worker.js';

export type Setup = GrammarWorkerSetup | (() => GrammarWorkerSetup);

export class FollowerThread {
  readonly #thread: DeadlineThread<GrammarCommand, GrammarAnswer>;
  /** How engines take a new line. */
  readonly #engines = new Set<(port: MessagePort) => void>();
  readonly #watch: NodeJS.Timeout;
  #connected = false;

  /**
   * @param setup   or what gives it when the first grammar comes
   * @param stallMs a command of an engine that takes longer than this, and twice this at most, ends the thread
   * @param onLost  called when the thread is gone, and every grammar with it
   */
  constructor(setup: Setup, stallMs: number, onLost: () => void) {
    const turns = new Int32Array(new SharedArrayBuffer(4));
    const data = (): GrammarWorkerData => ({ ...(typeof setup === 'function' ? setup() : setup), turns });
    this.#thread = new DeadlineThread(
      () => new Worker(new URL(workerFile('./grammar-worker.js', import.meta.url)), { workerData: data() }),
      () => {
        Atomics.store(turns, 0, 0);
        this.#connected = false;
        onLost();
      },
    );
    let before = 0;
    this.#watch = setInterval(() => {
      const now = Atomics.load(turns, 0);
      if (now % 2 !== 0 && now === before) void this.#thread.discard();
      before = now;
    }, stallMs).unref();
  }

  /**
   * @returns how long the thread took for it, in ms
   * @throws ThreadLost with the reason why it cannot be compiled; TaskUnwanted
   */
  async compile(id: number, ebnf: string, timeoutMs: number, isWanted: () => boolean): Promise<number> {
    const answer = await this.#thread.run({ type: 'compile', id, ebnf }, timeoutMs, { isWanted });
    if (!this.#connected) {
      this.#connected = true;
      for (const connect of this.#engines) this.#connect(connect);
    }
    if ('error' in answer) throw new ThreadLost(answer.error);
    return 'ms' in answer ? answer.ms : 0;
  }

  /** Starts the thread where none runs, so that the next grammar does not wait for its vocabulary. */
  warm(): void {
    this.#thread.warm();
  }

  drop(id: number): void {
    this.#thread.tell({ type: 'drop', id } satisfies GrammarCommand);
  }

  /** An engine says how it takes the line to this thread. @returns a function that ends this */
  addEngine(connect: (port: MessagePort) => void): () => void {
    this.#engines.add(connect);
    if (this.#connected) this.#connect(connect);
    return () => void this.#engines.delete(connect);
  }

  /** Ends the thread: requests that it follows fail. The next grammar starts another one. */
  async discard(): Promise<void> {
    await this.#thread.discard();
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    await this.#thread.close();
  }

  #connect(connect: (port: MessagePort) => void): void {
    const { port1, port2 } = new MessageChannel();
    this.#thread.tell({ type: 'connect', port: port1 } satisfies GrammarCommand, [port1]);
    connect(port2);
  }
}
