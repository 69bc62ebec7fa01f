/**
 * The door of this room: makes grammars of what clients ask an answer to look like.
 *
 *   compile  a structure to a grammar that requests can use
 *   connect  an engine's worker to the thread that follows grammars
 *
 * Two threads: one turns what the client sent into EBNF and is thrown away where that fails; the other compiles EBNF over
 * the vocabulary and gives engines a mask per token. Both start with the first structure.
 *
 * Words: structure = what an answer must look like; grammar = its compiled form; mask = which tokens may come next.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import { BlockstitchError } from '../errors.js';
import { workerFile } from '../text/worker-file.js';
import { DeadlineThread, TaskUnwanted, ThreadLost } from './deadline-thread.js';
import type { GrammarAnswer, GrammarCommand, GrammarWorkerData, GrammarWorkerSetup } from './grammar-worker.js';
import type { GrammarId } from './mask-link.js';
import { type OutputStructure, structureKey } from './output-structure.js';
import type { StructureAnswer } from './structure-worker.js';

/** A grammar in use; `release` when no request uses it any more. */
export interface HeldGrammar {
  id: GrammarId;
  release(): void;
}

/** Compiled grammars that are kept for the next request. */
const KEPT_GRAMMARS = 128;
/** Structures that may wait for a thread. */
const MAX_WAITING = 64;
const STRUCTURE_MS = 10_000;
const COMPILE_MS = 30_000;
/** A mask that takes longer than this, and twice this at most, ends its thread: it holds up every request. */
const STALL_MS = 10_000;
/** Characters of EBNF. A schema of forty fields takes 5,000. */
const MAX_EBNF = 1 << 20;

interface Kept {
  id: GrammarId;
  uses: number;
  compiled: Promise<void>;
  /** Left the memory while requests used it. */
  evicted: boolean;
}

export class GrammarService {
  readonly #structures: DeadlineThread<OutputStructure, StructureAnswer>;
  readonly #grammars: DeadlineThread<GrammarCommand, GrammarAnswer>;
  readonly #kept: LRUCache<string, Kept>;
  /** How engines take a new line. */
  readonly #engines = new Set<(port: MessagePort) => void>();
  #nextId: GrammarId = 1;
  #waiting = 0;
  #connected = false;
  readonly #watch: NodeJS.Timeout;

  /**
   * @param setup   or what gives it when the first structure comes
   * @param stallMs after how long without an end of a command the thread is given up
   */
  constructor(setup: GrammarWorkerSetup | (() => GrammarWorkerSetup), { stallMs = STALL_MS } = {}) {
    const start = (file: string, workerData?: GrammarWorkerData) =>
      new Worker(new URL(workerFile(file, import.meta.url)), { workerData });
    this.#structures = new DeadlineThread(() => start('./structure-worker.js'));
    const turns = new Int32Array(new SharedArrayBuffer(4));
    const data = (): GrammarWorkerData => ({ ...(typeof setup === 'function' ? setup() : setup), turns });
    this.#grammars = new DeadlineThread(
      () => start('./grammar-worker.js', data()),
      () => {
        Atomics.store(turns, 0, 0);
        this.#lost();
      },
    );
    let before = 0;
    this.#watch = setInterval(() => {
      const now = Atomics.load(turns, 0);
      if (now % 2 !== 0 && now === before) void this.#grammars.discard();
      before = now;
    }, stallMs).unref();
    this.#kept = new LRUCache({
      max: KEPT_GRAMMARS,
      dispose: (kept) => {
        kept.evicted = true;
        this.#dropUnused(kept);
      },
    });
  }

  /** An engine says how it takes the line to the grammar thread. @returns a function that ends this */
  addEngine(connect: (port: MessagePort) => void): () => void {
    this.#engines.add(connect);
    if (this.#connected) this.#connect(connect);
    return () => void this.#engines.delete(connect);
  }

  /**
   * Compiles a structure, or finds it compiled.
   *
   * @param param  the request's field, for errors
   * @param signal the client's: what nobody waits for is not compiled
   * @throws BlockstitchError `invalid_request` with what is wrong or not supported, `queue_full`, `client_closed`
   */
  async compile(structure: OutputStructure, param: string, signal?: AbortSignal): Promise<HeldGrammar> {
    signal?.throwIfAborted();
    const key = structureKey(structure);
    const known = this.#kept.get(key);
    const kept = known ?? this.#begin(key, structure, param);
    kept.uses++;
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      kept.uses--;
      this.#dropUnused(kept);
    };
    signal?.addEventListener('abort', release, { once: true });
    try {
      await kept.compiled;
      signal?.throwIfAborted();
      return { id: kept.id, release };
    } catch (error) {
      release();
      throw error;
    } finally {
      signal?.removeEventListener('abort', release);
    }
  }

  /** Ends the grammar thread: requests that use grammars fail. The next structure starts another one. */
  async restart(): Promise<void> {
    await this.#grammars.discard();
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    await Promise.all([this.#structures.close(), this.#grammars.close()]);
  }

  #begin(key: string, structure: OutputStructure, param: string): Kept {
    if (this.#waiting >= MAX_WAITING)
      throw new BlockstitchError('queue_full', { waiting: this.#waiting, limit: MAX_WAITING });
    const id = this.#nextId++;
    this.#waiting++;
    const isWanted = () => {
      if (kept.uses === 0 && this.#kept.peek(key) === kept) this.#kept.delete(key);
      return kept.uses > 0;
    };
    const compiled = this.#compile(id, structure, param, isWanted).finally(() => {
      this.#waiting--;
    });
    const kept: Kept = { id, uses: 0, compiled, evicted: false };
    this.#kept.set(key, kept);
    compiled.catch(() => {
      if (this.#kept.peek(key) === kept) this.#kept.delete(key);
    });
    return kept;
  }

  async #compile(id: GrammarId, structure: OutputStructure, param: string, isWanted: () => boolean): Promise<void> {
    const ebnf = await this.#ebnfOf(structure, param, isWanted);
    try {
      const answer = await this.#grammars.run({ type: 'compile', id, ebnf }, COMPILE_MS, { isWanted });
      if (!this.#connected) {
        this.#connected = true;
        for (const connect of this.#engines) this.#connect(connect);
      }
      if ('error' in answer && answer.error !== undefined) throw new ThreadLost(answer.error);
    } catch (error) {
      if (!(error instanceof ThreadLost)) throw unwanted(error);
      throw refused(param, `\`${param}\` cannot be compiled: ${error.message}.`, error);
    }
  }

  async #ebnfOf(structure: OutputStructure, param: string, isWanted: () => boolean): Promise<string> {
    let answer: StructureAnswer;
    try {
      // At an error its WebAssembly has ended itself.
      answer = await this.#structures.run(structure, STRUCTURE_MS, { spoils: (made) => 'error' in made, isWanted });
    } catch (error) {
      if (!(error instanceof ThreadLost)) throw unwanted(error);
      throw refused(param, `\`${param}\` cannot be read: ${error.message}.`, error);
    }
    if ('ebnf' in answer) {
      if (answer.ebnf.length <= MAX_EBNF) return answer.ebnf;
      throw refused(param, `\`${param}\` is too large: its grammar has more than ${MAX_EBNF} characters.`);
    }
    throw refused(param, `\`${param}\` is wrong or not supported: ${'error' in answer ? answer.error : 'no answer'}.`);
  }

  #connect(connect: (port: MessagePort) => void): void {
    const { port1, port2 } = new MessageChannel();
    this.#grammars.tell({ type: 'connect', port: port1 } satisfies GrammarCommand, [port1]);
    connect(port2);
  }

  /** The thread is gone, and every grammar with it. */
  #lost(): void {
    this.#connected = false;
    this.#kept.clear();
  }

  #dropUnused({ id, uses, evicted }: Kept): void {
    if (evicted && uses === 0) this.#grammars.tell({ type: 'drop', id } satisfies GrammarCommand);
  }
}

function unwanted(error: unknown): unknown {
  return error instanceof TaskUnwanted ? new BlockstitchError('client_closed', {}, { cause: error }) : error;
}

function refused(param: string, reason: string, cause?: unknown): BlockstitchError {
  return new BlockstitchError('invalid_request', { reason }, { param, ...(cause === undefined ? {} : { cause }) });
}
