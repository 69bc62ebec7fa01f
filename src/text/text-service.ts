/**
 * The tokenizer of a checkpoint, asynchronous: short texts are tokenized here, long ones in a text thread, so that the
 * event loop is never held for long. Refuses text that is not well-formed Unicode, and text with tokens that the model
 * does not have. Does not know prompts or segments; their workers may run in the same threads (`run`).
 *
 * Words: token = an entry of the vocabulary, id = its number; added token = one that tokenizer.json lists beside the
 * vocabulary; control token = an added token that steers the model; word = what byte-pair encoding works on.
 */
import { usableCpus } from '../cpu-quota.js';
import { BlockstitchError } from '../errors.js';
import type { Detokenizer } from './detokenizer.js';
import { apart, type IdLists } from './id-buffer.js';
import { readTokenizerDefinition, tokenizerPath } from './read-tokenizer.js';
import { type RunOptions, TextThreads } from './text-threads.js';
import type { EncodeTask } from './text-worker.js';
import { type EncodeOptions, Tokenizer } from './tokenizer.js';
import { type JsonObject, TokenizerFormatError } from './tokenizer-file.js';
import { workerFile } from './worker-file.js';

export interface TextServiceOptions {
  /** Hugging Face directory with tokenizer.json. */
  checkpointDir: string;
  /** Rows of the model's embedding table. Text that spells a token beyond them is refused. Default: no limit. */
  vocabSize?: number;
  /** Worker threads at most, >= 1; each holds a tokenizer of its own. Default: processors less one, 1 to 4. */
  maxThreads?: number;
  /** Requests that may wait for a thread, >= 0; one more is `queue_full`. Default: no limit. */
  maxQueue?: number;
  /** Texts (or batches) longer than this, in UTF-16 units, go to a worker. Default 8192, some milliseconds of work. */
  inlineCharacters?: number;
}

export interface TextOptions extends Pick<EncodeOptions, 'parseControl'>, RunOptions {
  /** Names the text in error messages, e.g. `documents[2].text`. */
  param?: string;
}

/** A token of tokenizer.json that the model has no row for. */
export interface OutsideToken {
  content: string;
  id: number;
}

export interface TextService {
  readonly checkpointDir: string;
  /** Synchronous access, for short texts and for ids. */
  readonly tokenizer: Tokenizer;
  /** The checkpoint's chat template (Jinja), if it has one. */
  readonly chatTemplate: string | undefined;
  /** tokenizer_config.json; empty if there is none. */
  readonly config: JsonObject;
  /** Tokens with an id of `vocabSize` or more, ascending. A text that spells one is refused. */
  readonly outside: readonly OutsideToken[];
  /** Ids from here on are refused in texts: the model's rows, or the tokenizer's ids where those are fewer. */
  readonly idLimit: number;
  /** Ids from here on have no row in the model. Rows behind the tokenizer's ids have no text, such as learned sinks. */
  readonly rows: number;
  /** Tasks that run at the same time at most. */
  readonly threads: number;
  /**
   * Token ids without special tokens added. Control tokens in the text stay text unless `parseControl` is set.
   * @throws BlockstitchError `text_not_encodable` for lone surrogates, `invalid_request` for a token that the model
   *   does not have, `queue_full` and `shutting_down`
   */
  encode(text: string, options?: TextOptions): Promise<Int32Array>;
  /** As `encode`, for each text on its own, in one go. */
  encodeAll(texts: readonly string[], options?: TextOptions): Promise<Int32Array[]>;
  count(text: string, options?: TextOptions): Promise<number>;
  countAll(texts: readonly string[], options?: TextOptions): Promise<Int32Array>;
  decode(ids: Iterable<number>, options?: { skipControl?: boolean }): string;
  detokenizer(options?: { skipControl?: boolean | ReadonlySet<number> }): Detokenizer;
  /** @throws BlockstitchError `invalid_request` naming a token among `ids` that the model does not have */
  assertInside(ids: Int32Array, param?: string): void;
  /** Runs some milliseconds of work on this thread, and lets the event loop have a turn when such work adds up. */
  runHere<Result>(work: () => Result): Promise<Result>;
  /**
   * Runs the export `name` of a worker file (see `workerFile`) in a text thread, with a stop flag in `task.stop`.
   * @throws BlockstitchError `queue_full`, `shutting_down`; the signal's reason; what the worker throws
   */
  run<Result>(file: string, name: string, task: object, options?: RunOptions): Promise<Result>;
  /** Ends what waits and what runs, and waits for native work to end. */
  close(): Promise<void>;
}

const INLINE_CHARACTERS = 8192;
/** After this much work on this thread, the event loop gets a turn. */
const TURN_MS = 8;
const WORKER = workerFile('./text-worker.js', import.meta.url);

/** @throws BlockstitchError `checkpoint_invalid` for tokenizer files that cannot be used, with the reason */
export async function createTextService(options: TextServiceOptions): Promise<TextService> {
  const definition = await readTokenizerDefinition(options.checkpointDir);
  try {
    return new ThreadedTextService(options, new Tokenizer(definition), definition.chatTemplate, definition.config);
  } catch (error) {
    if (!(error instanceof TokenizerFormatError)) throw error;
    const details = { path: await tokenizerPath(options.checkpointDir), reason: error.message };
    throw new BlockstitchError('checkpoint_invalid', details, { cause: error });
  }
}

class ThreadedTextService implements TextService {
  readonly checkpointDir: string;
  readonly outside: readonly OutsideToken[];
  readonly idLimit: number;
  readonly rows: number;
  readonly #inlineCharacters: number;
  readonly #threads: TextThreads;
  #busyMs = 0;

  constructor(
    options: TextServiceOptions,
    readonly tokenizer: Tokenizer,
    readonly chatTemplate: string | undefined,
    readonly config: JsonObject,
  ) {
    const { vocabSize = tokenizer.vocabSize, maxQueue = Number.POSITIVE_INFINITY } = options;
    this.checkpointDir = options.checkpointDir;
    this.rows = vocabSize;
    this.idLimit = Math.min(tokenizer.vocabSize, vocabSize);
    this.outside = tokenizer.tokensFrom(this.idLimit);
    this.#inlineCharacters = options.inlineCharacters ?? INLINE_CHARACTERS;
    const threads = options.maxThreads ?? Math.min(4, Math.max(1, usableCpus() - 1));
    this.#threads = new TextThreads({ threads, maxQueue });
  }

  get threads(): number {
    return this.#threads.threads;
  }

  async encode(text: string, options: TextOptions = {}): Promise<Int32Array> {
    const [ids] = await this.encodeAll([text], options);
    return ids ?? new Int32Array();
  }

  async encodeAll(texts: readonly string[], options: TextOptions = {}): Promise<Int32Array[]> {
    const task = this.#prepare(texts, options);
    const encoded = this.#isShort(texts)
      ? await this.runHere(() => texts.map((text) => this.tokenizer.encode(text, task.options)))
      : apart(await this.run<IdLists>(WORKER, 'encodeAll', task, options));
    for (const ids of encoded) this.assertInside(ids, options.param);
    return encoded;
  }

  async count(text: string, options: TextOptions = {}): Promise<number> {
    const [count] = await this.countAll([text], options);
    return count ?? 0;
  }

  async countAll(texts: readonly string[], options: TextOptions = {}): Promise<Int32Array> {
    const task = this.#prepare(texts, options);
    if (!this.#isShort(texts)) return this.run<Int32Array>(WORKER, 'countAll', task, options);
    return this.runHere(() => Int32Array.from(texts, (text) => this.tokenizer.count(text, task.options)));
  }

  decode(ids: Iterable<number>, options: { skipControl?: boolean } = {}): string {
    return this.tokenizer.decode(ids, options);
  }

  detokenizer(options: { skipControl?: boolean | ReadonlySet<number> } = {}): Detokenizer {
    return this.tokenizer.detokenizer(options);
  }

  assertInside(ids: Int32Array, param?: string): void {
    if (this.outside.length === 0) return;
    const id = ids.find((id) => id >= this.idLimit);
    if (id === undefined) return;
    const token = this.tokenizer.token(id);
    const reason =
      `${param ?? 'The text'} spells the token ${token} with id ${id}, ` +
      `but the model's vocabulary has ${this.idLimit} rows.`;
    throw new BlockstitchError('invalid_request', { reason }, param === undefined ? {} : { param });
  }

  async runHere<Result>(work: () => Result): Promise<Result> {
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

  run<Result>(file: string, name: string, task: object, options?: RunOptions): Promise<Result> {
    return this.#threads.run<Result>(file, name, task, options);
  }

  close(): Promise<void> {
    return this.#threads.close();
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
}

/** Tokens of `outside` that are named at start. */
const MOST_NAMED = 8;

/** What to say at start of tokens that the model has no row for: a line for each, and one for those that are left. */
export function outsideNotices({ outside }: Pick<TextService, 'outside'>, vocabSize: number): string[] {
  const lines = outside
    .slice(0, MOST_NAMED)
    .map(
      ({ content, id }) =>
        `the tokenizer names the token ${content} with id ${id}, but the model's vocabulary has ${vocabSize} rows: ` +
        'a text that spells it is refused',
    );
  if (outside.length > MOST_NAMED) lines.push(`and ${outside.length - MOST_NAMED} more such tokens`);
  return lines;
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
