/**
 * The tokenizer of a checkpoint as the servers' threads use it: asynchronous, short texts here, long ones in a worker
 * thread, so that the event loop is never held for long. Refuses text that is not well-formed Unicode.
 * Knows neither prompts nor segments; their workers may run in the same pool (`run`).
 */
import { Piscina } from 'piscina';
import { usableCpus } from '../cpu-quota.js';
import { BlockstitchError } from '../errors.js';
import type { Detokenizer } from './detokenizer.js';
import type { EncodeResult, EncodeTask } from './text-worker.js';
import { type EncodeOptions, Tokenizer } from './tokenizer.js';
import { type JsonObject, readTokenizerDefinition, TokenizerFormatError } from './tokenizer-file.js';
import { workerFile } from './worker-file.js';

export interface TextServiceOptions {
  /** Hugging Face directory with tokenizer.json. */
  checkpointDir: string;
  /** Worker threads at most, >= 1; each holds a tokenizer of its own. Default: processors less one, 1 to 4. */
  maxThreads?: number;
  /** Texts (or batches) longer than this, in UTF-16 units, go to a worker. Default 8192, some milliseconds of work. */
  inlineCharacters?: number;
}

export interface TextOptions extends EncodeOptions {
  /** Names the text in error messages, e.g. `documents[2].text`. */
  param?: string;
  signal?: AbortSignal;
}

export interface TextService {
  readonly checkpointDir: string;
  /** Synchronous access, for short texts and for ids. */
  readonly tokenizer: Tokenizer;
  /** The checkpoint's chat template (Jinja), where it has one. */
  readonly chatTemplate: string | undefined;
  /** tokenizer_config.json; empty where there is none. */
  readonly config: JsonObject;
  /**
   * Token ids without special tokens added. Control tokens in the text stay text unless `parseControl` is set.
   * @throws BlockstitchError `text_not_encodable` for lone surrogates
   */
  encode(text: string, options?: TextOptions): Promise<Int32Array>;
  /** As `encode`, for each text on its own, in one go. */
  encodeAll(texts: readonly string[], options?: TextOptions): Promise<Int32Array[]>;
  count(text: string, options?: TextOptions): Promise<number>;
  countAll(texts: readonly string[], options?: TextOptions): Promise<Int32Array>;
  decode(ids: Iterable<number>, options?: { skipControl?: boolean }): string;
  detokenizer(options?: { skipControl?: boolean }): Detokenizer;
  /** Runs the export `name` of a worker file (see `workerFile`) in the pool of text threads. */
  run<Result>(file: string, name: string, task: unknown, signal?: AbortSignal): Promise<Result>;
  close(): Promise<void>;
}

const INLINE_CHARACTERS = 8192;
/** After this much work on this thread, the event loop gets a turn. */
const TURN_MS = 8;
const IDLE_MS = 60_000;
const WORKER = workerFile('./text-worker.js', import.meta.url);

/** @throws BlockstitchError `checkpoint_invalid` for tokenizer files that cannot be used, with the reason */
export async function createTextService(options: TextServiceOptions): Promise<TextService> {
  const definition = await readTokenizerDefinition(options.checkpointDir);
  try {
    return new ThreadedTextService(options, new Tokenizer(definition), definition.chatTemplate, definition.config);
  } catch (error) {
    if (!(error instanceof TokenizerFormatError)) throw error;
    const details = { path: `${options.checkpointDir}/tokenizer.json`, reason: error.message };
    throw new BlockstitchError('checkpoint_invalid', details, { cause: error });
  }
}

class ThreadedTextService implements TextService {
  readonly checkpointDir: string;
  readonly #inlineCharacters: number;
  readonly #pool: Piscina;
  #busyMs = 0;

  constructor(
    options: TextServiceOptions,
    readonly tokenizer: Tokenizer,
    readonly chatTemplate: string | undefined,
    readonly config: JsonObject,
  ) {
    this.checkpointDir = options.checkpointDir;
    this.#inlineCharacters = options.inlineCharacters ?? INLINE_CHARACTERS;
    const maxThreads = options.maxThreads ?? Math.min(4, Math.max(1, usableCpus() - 1));
    this.#pool = new Piscina({ filename: WORKER, minThreads: 0, maxThreads, idleTimeout: IDLE_MS });
  }

  async encode(text: string, options: TextOptions = {}): Promise<Int32Array> {
    const [ids] = await this.encodeAll([text], options);
    return ids ?? new Int32Array();
  }

  async encodeAll(texts: readonly string[], options: TextOptions = {}): Promise<Int32Array[]> {
    const task = this.#prepare(texts, options);
    if (this.#isShort(texts)) return this.#inline(() => texts.map((text) => this.tokenizer.encode(text, task.options)));
    const { ids, lengths } = await this.run<EncodeResult>(WORKER, 'encodeAll', task, options.signal);
    let offset = 0;
    return Array.from(lengths, (length) => {
      const part = ids.slice(offset, offset + length);
      offset += length;
      return part;
    });
  }

  async count(text: string, options: TextOptions = {}): Promise<number> {
    const [count] = await this.countAll([text], options);
    return count ?? 0;
  }

  async countAll(texts: readonly string[], options: TextOptions = {}): Promise<Int32Array> {
    const task = this.#prepare(texts, options);
    if (!this.#isShort(texts)) return this.run<Int32Array>(WORKER, 'countAll', task, options.signal);
    return this.#inline(() => Int32Array.from(texts, (text) => this.tokenizer.encode(text, task.options).length));
  }

  decode(ids: Iterable<number>, options: { skipControl?: boolean } = {}): string {
    return this.tokenizer.decode(ids, options);
  }

  detokenizer(options: { skipControl?: boolean } = {}): Detokenizer {
    return this.tokenizer.detokenizer(options);
  }

  async run<Result>(file: string, name: string, task: unknown, signal?: AbortSignal): Promise<Result> {
    return (await this.#pool.run(task, { filename: file, name, ...(signal ? { signal } : {}) })) as Result;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #prepare(texts: readonly string[], { param, parseControl }: TextOptions): EncodeTask {
    for (const text of texts) assertWellFormed(text, param);
    return { checkpointDir: this.checkpointDir, texts, options: parseControl === true ? { parseControl } : {} };
  }

  #isShort(texts: readonly string[]): boolean {
    let characters = 0;
    for (const text of texts) characters += text.length + 16;
    return characters <= this.#inlineCharacters;
  }

  /** Runs short work here, and lets the event loop have a turn when much short work has added up. */
  async #inline<Result>(work: () => Result): Promise<Result> {
    while (this.#busyMs > TURN_MS) await new Promise(setImmediate);
    if (this.#busyMs === 0)
      setImmediate(() => {
        this.#busyMs = 0;
      });
    const start = performance.now();
    const result = work();
    this.#busyMs += performance.now() - start;
    return result;
  }
}

/** @throws BlockstitchError `text_not_encodable` for a lone surrogate, which has no UTF-8 and so no tokens */
export function assertWellFormed(text: string, param?: string): void {
  if (text.isWellFormed()) return;
  const offset = text.search(/\p{Surrogate}/u);
  const unit = text.charCodeAt(offset).toString(16).toUpperCase();
  throw new BlockstitchError(
    'text_not_encodable',
    { what: param ?? 'The text', reason: `lone surrogate U+${unit} at character ${offset}` },
    param === undefined ? {} : { param },
  );
}
