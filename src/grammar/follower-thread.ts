/**
 * A grammar thread with its lines to the engines: it compiles grammars and follows them for requests.
 * It is given up where a mask takes for ever, and begun again: whoever owns the grammars compiles them again and says
 * `revived`. Knows threads, not structures.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { workerFile } from '../text/worker-file.js';
import { DeadlineThread, ThreadLost } from './deadline-thread.js';
import { EngineTurns } from './engine-turns.js';
import type { GrammarAnswer, GrammarCommand, GrammarWorkerData, GrammarWorkerSetup } from './grammar-worker.js';

export type Setup = GrammarWorkerSetup | (() => GrammarWorkerSetup);

/** A thread that is gone. `culprit`: the grammar that it was following for a request at that moment. */
export interface LostThread {
  loss: number;
  culprit: number | undefined;
}

export class FollowerThread {
  readonly #thread: DeadlineThread<GrammarCommand, GrammarAnswer>;
  /** How engines take a new line. */
  readonly #engines = new Set<(port: MessagePort) => void>();
  readonly #watch: NodeJS.Timeout;
  #turns = new EngineTurns();
  #connected = false;
  /** Threads that were lost. */
  #losses = 0;
  /** What the lost thread had is being compiled again: engines wait. */
  #reviving = false;

  /**
   * @param setup   or what gives it when the first grammar comes
   * @param stallMs a command of an engine that takes longer than this, and twice this at most, ends the thread
   * @param onLost  called when the thread is gone, and every grammar with it; engines wait until `revived(loss)`
   */
  constructor(setup: Setup, stallMs: number, onLost: (lost: LostThread) => void) {
    const data = (): GrammarWorkerData => {
      this.#turns = new EngineTurns();
      return { ...(typeof setup === 'function' ? setup() : setup), turns: this.#turns.words };
    };
    this.#thread = new DeadlineThread(
      () => new Worker(new URL(workerFile('./grammar-worker.js', import.meta.url)), { workerData: data() }),
      () => {
        this.#connected = false;
        this.#reviving = true;
        onLost({ loss: ++this.#losses, culprit: this.#turns.running });
      },
    );
    let before: string | undefined;
    this.#watch = setInterval(() => {
      const { running, count } = this.#turns;
      const now = running === undefined ? undefined : `${this.#losses}/${count}`;
      if (now !== undefined && now === before) void this.#thread.discard();
      before = now;
    }, stallMs).unref();
  }

  /**
   * @returns how long the thread took for it, in ms
   * @throws ThreadLost with the reason why it cannot be compiled; TaskUnwanted
   */
  async compile(id: number, ebnf: string, timeoutMs: number, isWanted: () => boolean): Promise<number> {
    const answer = await this.#thread.run({ type: 'compile', id, ebnf }, timeoutMs, { isWanted });
    if (!this.#reviving) this.#connectAll();
    if ('error' in answer) throw new ThreadLost(answer.error);
    return 'ms' in answer ? answer.ms : 0;
  }

  /** Starts the thread where none runs, so that the next grammar does not wait for its vocabulary. */
  warm(): void {
    void this.#thread.warm();
  }

  /** What a lost thread had, and is wanted, has been compiled again: engines follow it here. @param loss of which this is the cure */
  async revived(loss: number): Promise<void> {
    if (loss !== this.#losses) return;
    const runs = await this.#thread.warm();
    if (loss !== this.#losses) return;
    this.#reviving = false;
    // Else the next grammar starts it.
    if (runs) this.#connectAll();
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

  /** Ends the thread. */
  async discard(): Promise<void> {
    await this.#thread.discard();
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    await this.#thread.close();
  }

  #connectAll(): void {
    if (this.#connected) return;
    this.#connected = true;
    for (const connect of this.#engines) this.#connect(connect);
  }

  #connect(connect: (port: MessagePort) => void): void {
    const { port1, port2 } = new MessageChannel();
    this.#thread.tell({ type: 'connect', port: port1 } satisfies GrammarCommand, [port1]);
    connect(port2);
  }
}
