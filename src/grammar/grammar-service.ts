/**
 * The door of this room: makes grammars of what clients ask an answer to look like.
 *
 *   compile    a structure to a grammar that requests can use
 *   addEngine  gives an engine's worker lines to the threads that follow grammars
 *
 * Three threads: one turns what the client sent into EBNF and is thrown away where that fails; one tries how long EBNF takes
 * to compile over the vocabulary; the common one compiles what was quick once more, and gives engines a mask per token. A
 * grammar that was slow stays where it was tried, so that no request waits for it that has another one. They start with the
 * first structure.
 *
 * Words: structure = what an answer must look like; grammar = its compiled form; mask = which tokens may come next.
 */
import { type MessagePort, Worker } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import { BlockstitchError } from '../errors.js';
import { workerFile } from '../text/worker-file.js';
import { DeadlineThread, TaskUnwanted, ThreadLost } from './deadline-thread.js';
import { FollowerThread, type LostThread, type Setup } from './follower-thread.js';
import type { GrammarId, GrammarLine } from './mask-link.js';
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

/** After how long a thread is given up, and what is slow; all in ms. */
export interface GrammarTimes {
  /** Making EBNF of a structure. */
  structureMs?: number;
  /** Compiling EBNF. */
  compileMs?: number;
  /** What takes longer to compile stays out of the common thread, which it would hold up for as long once more. */
  quickMs?: number;
  /** A mask that takes longer than this, and twice this at most, ends its thread: it holds up every request of it. */
  stallMs?: number;
}

const TIMES = { structureMs: 10_000, compileMs: 30_000, quickMs: 500, stallMs: 10_000 } as const;
/** A grammar whose thread was lost is compiled again so often: after that its requests fail. */
const MAX_REVIVALS = 2;
/** Structures that are remembered as having masks without an end. */
const KEPT_ENDLESS = 1024;
/** Characters of EBNF. A schema of forty fields takes 5,000. */
const MAX_EBNF = 1 << 20;

interface Kept {
  key: string;
  number: number;
  structure: OutputStructure;
  uses: number;
  /** To the thread that has it; undefined until it is compiled. */
  line: GrammarLine | undefined;
  compiled: Promise<GrammarLine>;
  /** Left the memory while requests used it. */
  evicted: boolean;
  /** How often it was compiled again. */
  revivals: number;
}

export class GrammarService {
  readonly #structures: DeadlineThread<OutputStructure, StructureAnswer>;
  readonly #common: FollowerThread;
  readonly #slow: FollowerThread;
  readonly #limits: Readonly<Required<GrammarTimes>>;
  readonly #kept: LRUCache<string, Kept>;
  /** What requests use. */
  readonly #used = new Set<Kept>();
  /** Keys of structures that held a thread until it was ended. */
  readonly #endless = new LRUCache<string, true>({ max: KEPT_ENDLESS });
  #nextNumber = 1;
  #waiting = 0;

  /**
   * @param setup or what gives it when the first structure comes
   */
  constructor(setup: Setup, times: GrammarTimes = {}) {
    this.#limits = { ...TIMES, ...times };
    const { stallMs } = this.#limits;
    this.#structures = new DeadlineThread(
      () => new Worker(new URL(workerFile('./structure-worker.js', import.meta.url))),
    );
    this.#common = new FollowerThread(setup, stallMs, (lost) => void this.#lost('common', lost));
    this.#slow = new FollowerThread(setup, stallMs, (lost) => void this.#lost('slow', lost));
    this.#kept = new LRUCache({
      max: KEPT_GRAMMARS,
      dispose: (kept) => {
        kept.evicted = true;
        this.#dropUnused(kept);
      },
    });
  }

  /** An engine says how it takes a line to a grammar thread. @returns a function that ends this */
  addEngine(connect: (port: MessagePort, line: GrammarLine) => void): () => void {
    const leave = [
      this.#common.addEngine((port) => connect(port, 'common')),
      this.#slow.addEngine((port) => connect(port, 'slow')),
    ];
    return () => {
      for (const each of leave) each();
    };
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
    if (this.#endless.has(key)) throw refused(param, `\`${param}\` cannot be followed: ${ENDLESS}.`);
    const known = this.#kept.get(key);
    const kept = known ?? this.#begin(key, structure, param);
    kept.uses++;
    this.#used.add(kept);
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      kept.uses--;
      if (kept.uses === 0) this.#used.delete(kept);
      this.#dropUnused(kept);
    };
    signal?.addEventListener('abort', release, { once: true });
    try {
      const line = await kept.compiled;
      signal?.throwIfAborted();
      return { id: line === 'slow' ? -kept.number : kept.number, release };
    } catch (error) {
      release();
      throw error;
    } finally {
      signal?.removeEventListener('abort', release);
    }
  }

  /** Ends the grammar threads. What requests use goes on in others. */
  async restart(): Promise<void> {
    await Promise.all([this.#common.discard(), this.#slow.discard()]);
  }

  async close(): Promise<void> {
    await Promise.all([this.#structures.close(), this.#common.close(), this.#slow.close()]);
  }

  #begin(key: string, structure: OutputStructure, param: string): Kept {
    if (this.#waiting >= MAX_WAITING)
      throw new BlockstitchError('queue_full', { waiting: this.#waiting, limit: MAX_WAITING });
    const number = this.#nextNumber++;
    this.#waiting++;
    const isWanted = () => {
      if (kept.uses === 0) this.#forget(kept);
      return kept.uses > 0;
    };
    const compiled = this.#compile(number, structure, param, isWanted)
      .then((line) => {
        kept.line = line;
        this.#dropUnused(kept);
        return line;
      })
      .finally(() => {
        this.#waiting--;
      });
    const kept: Kept = { key, number, structure, uses: 0, line: undefined, compiled, evicted: false, revivals: 0 };
    this.#kept.set(key, kept);
    compiled.catch(() => this.#forget(kept));
    return kept;
  }

  /** @returns the line to the thread that has it */
  async #compile(
    number: number,
    structure: OutputStructure,
    param: string,
    isWanted: () => boolean,
  ): Promise<GrammarLine> {
    const ebnf = await this.#ebnfOf(structure, param, isWanted);
    try {
      const { compileMs, quickMs } = this.#limits;
      this.#common.warm();
      const ms = await this.#slow.compile(number, ebnf, compileMs, isWanted);
      if (ms > quickMs) return 'slow';
      this.#slow.drop(number);
      await this.#common.compile(number, ebnf, compileMs, isWanted);
      return 'common';
    } catch (error) {
      if (!(error instanceof ThreadLost)) throw unwanted(error);
      throw refused(param, `\`${param}\` cannot be compiled: ${error.message}.`, error);
    }
  }

  async #ebnfOf(structure: OutputStructure, param: string, isWanted: () => boolean): Promise<string> {
    let answer: StructureAnswer;
    try {
      // At an error its WebAssembly has ended itself.
      answer = await this.#structures.run(structure, this.#limits.structureMs, {
        spoils: (made) => 'error' in made,
        isWanted,
      });
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

  /**
   * A thread is gone, and every grammar with it. What requests use is compiled again in the next one, and their texts are
   * followed there; but for the grammar that held the thread, whose requests fail.
   */
  async #lost(line: GrammarLine, { loss, culprit }: LostThread): Promise<void> {
    const again: Kept[] = [];
    for (const kept of new Set([...this.#kept.values(), ...this.#used])) {
      if (kept.line !== line) continue;
      if (kept.number === culprit) this.#endless.set(kept.key, true);
      else if (kept.uses > 0 && kept.revivals < MAX_REVIVALS) {
        again.push(kept);
        continue;
      }
      this.#forget(kept);
    }
    await Promise.all(again.map((kept) => this.#revive(kept, line)));
    await this.#thread(line).revived(loss);
  }

  async #revive(kept: Kept, line: GrammarLine): Promise<void> {
    const { revivals } = kept;
    kept.revivals++;
    const isWanted = () => kept.uses > 0 && kept.revivals === revivals + 1;
    try {
      const ebnf = await this.#ebnfOf(kept.structure, 'structure', isWanted);
      await this.#thread(line).compile(kept.number, ebnf, this.#limits.compileMs, isWanted);
    } catch {
      // The thread does not have it: its requests fail.
      this.#forget(kept);
    }
  }

  #thread(line: GrammarLine): FollowerThread {
    return line === 'slow' ? this.#slow : this.#common;
  }

  /** The next request with this structure has it compiled anew. */
  #forget(kept: Kept): void {
    if (this.#kept.peek(kept.key) === kept) this.#kept.delete(kept.key);
  }

  #dropUnused(kept: Kept): void {
    if (!kept.evicted || kept.uses > 0 || kept.line === undefined) return;
    this.#thread(kept.line).drop(kept.number);
  }
}

const ENDLESS = 'one of its masks took too long. Say it in fewer rules';

function unwanted(error: unknown): unknown {
  return error instanceof TaskUnwanted ? new BlockstitchError('client_closed', {}, { cause: error }) : error;
}

function refused(param: string, reason: string, cause?: unknown): BlockstitchError {
  return new BlockstitchError('invalid_request', { reason }, { param, ...(cause === undefined ? {} : { cause }) });
}
