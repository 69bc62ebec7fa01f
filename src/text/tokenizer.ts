/**
 * The tokenizer of one checkpoint, synchronous: text to ids as the Python `tokenizers` library gives them without
 * special tokens added, and ids to text. Runs in any thread; TextService sends long texts to a thread.
 * Control tokens (`<|im_end|>` and the like) are parsed only if the caller asks for it.
 */
import { AddedTokenSplitter } from './added-tokens.js';
import { BpeModel } from './bpe-model.js';
import { Detokenizer } from './detokenizer.js';
import { IdBuffer, IdCount, type IdSink } from './id-buffer.js';
import { createNormalizer, type Normalize } from './normalizer.js';
import { type Pace, unhurried } from './pace.js';
import { createPreTokenizer, type PreTokenizer } from './pre-tokenizer.js';
import { promptPrefix } from './prompt-prefix.js';
import { createPieceDecoder, type PieceDecoder, type TokenPiece } from './token-pieces.js';
import { type AddedToken, isObject, type Json, type TokenizerDefinition } from './tokenizer-file.js';

/** Added tokens of this shape steer the model whether or not the file calls them special. */
const CONTROL_SHAPE = /^<([|｜])[^|｜]*\1>$/;

export interface EncodeOptions {
  /** Take control tokens in the text as such: for template text only, never for what a user sent. Default false. */
  parseControl?: boolean;
  /** Told of the characters as they are read; may throw to end the work. */
  pace?: Pace;
}

/** Words between two reports to the pace. */
const WORDS_PER_REPORT = 1024;

export class Tokenizer {
  readonly #model: BpeModel;
  readonly #normalize: Normalize | undefined;
  readonly #preTokenizer: PreTokenizer;
  readonly #original: AddedTokenSplitter;
  readonly #normalized: AddedTokenSplitter;
  readonly #pieces: PieceDecoder;
  readonly #tokens: (string | undefined)[] = [];
  readonly #ids = new Map<string, number>();
  /** Added tokens that are matched in normalized text decode to their normalized form. */
  readonly #normalizedContents = new Map<number, string>();
  readonly #pieceCache = new Map<number, TokenPiece>();
  /** Ids that steer the model (turns, roles, end of text): a user's text never encodes to them. */
  readonly controlIds: ReadonlySet<number>;
  /** Ids that stand in front of a raw prompt, as the Python library puts them there: BOS or none. */
  readonly promptPrefix: readonly number[];

  /** @throws TokenizerFormatError naming the part that is not known */
  constructor(definition: TokenizerDefinition) {
    const { model, addedTokens } = definition;
    const control = controlTokens(definition);
    this.controlIds = new Set([...control].map((token) => token.id));
    this.promptPrefix = promptPrefix(definition.postProcessor);
    this.#normalize = createNormalizer(definition.normalizer);
    this.#preTokenizer = createPreTokenizer(definition.preTokenizer);
    this.#pieces = createPieceDecoder(definition.decoder);
    this.#model = new BpeModel(model, {
      byteLevel: this.#preTokenizer.byteLevel,
      controlTokens: new Set([...control].map((token) => token.content)),
    });
    const isControl = (token: AddedToken) => control.has(token);
    const inOriginal = addedTokens.filter((token) => !token.normalized);
    const inNormalized = addedTokens.filter((token) => token.normalized);
    this.#original = new AddedTokenSplitter(
      inOriginal.map((token) => ({ content: token.content, token })),
      isControl,
    );
    this.#normalized = new AddedTokenSplitter(
      inNormalized.map((token) => ({ content: this.#normalize?.(token.content) ?? token.content, token })),
      isControl,
    );
    for (const [token, id] of model.vocab) this.#setToken(token, id);
    for (const { content, id, normalized } of addedTokens) {
      this.#setToken(content, id);
      if (normalized && this.#normalize) this.#normalizedContents.set(id, this.#normalize(content));
    }
  }

  /** One more than the largest id. */
  get vocabSize(): number {
    return this.#tokens.length;
  }

  /** @returns the id of a token by its exact content, added tokens included */
  tokenId(content: string): number | undefined {
    return this.#ids.get(content);
  }

  token(id: number): string | undefined {
    return this.#tokens[id];
  }

  /** Tokens with an id of at least `first`, ascending. */
  tokensFrom(first: number): { content: string; id: number }[] {
    return this.#tokens
      .slice(first)
      .flatMap((content, at) => (content === undefined ? [] : { content, id: first + at }));
  }

  /** @param text well-formed Unicode; the caller checks it */
  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const output = new IdBuffer(Math.max(16, text.length >> 2));
    this.#read(text, options, output);
    return output.toArray();
  }

  /** How many ids `encode` gives, without making them. */
  count(text: string, options: EncodeOptions = {}): number {
    const output = new IdCount();
    this.#read(text, options, output);
    return output.length;
  }

  /** Ids to text at once. Unknown ids are skipped; control tokens too where `skipControl` says so. */
  decode(ids: Iterable<number>, options: { skipControl?: boolean } = {}): string {
    const detokenizer = this.detokenizer(options);
    const parts: string[] = [];
    for (const id of ids) parts.push(detokenizer.push(id));
    parts.push(detokenizer.flush());
    return parts.join('');
  }

  /** The UTF-8 bytes of one token as output, also where they are only part of a character; empty for unknown ids. */
  tokenBytes(id: number): Uint8Array {
    return this.#pieceOf(id)?.bytes ?? new Uint8Array();
  }

  /** A streaming decoder for one sequence; `skipControl` may say which control tokens are skipped. */
  detokenizer(options: { skipControl?: boolean | ReadonlySet<number> } = {}): Detokenizer {
    const { skipControl = false } = options;
    const skip = skipControl === true ? this.controlIds : skipControl || undefined;
    return new Detokenizer({
      stripStart: this.#pieces.stripStart,
      pieceOf: (id) => (skip?.has(id) ? undefined : this.#pieceOf(id)),
    });
  }

  #read(text: string, { parseControl = false, pace = unhurried }: EncodeOptions, output: IdSink): void {
    for (const stretch of this.#original.split(text, parseControl)) {
      if ('id' in stretch) output.push(stretch.id);
      else this.#readStretch(stretch.text, stretch.start === 0, parseControl, pace, output);
    }
  }

  #readStretch(text: string, atStart: boolean, parseControl: boolean, pace: Pace, output: IdSink): void {
    const normalized = this.#normalize ? this.#normalize(text) : text;
    for (const stretch of this.#normalized.split(normalized, parseControl)) {
      if ('id' in stretch) {
        output.push(stretch.id);
        continue;
      }
      let words = 0;
      let characters = 0;
      for (const word of this.#preTokenizer.split(stretch.text, atStart && stretch.start === 0)) {
        this.#model.encodeWord(word, output);
        words += 1;
        characters += word.length;
        if (words % WORDS_PER_REPORT !== 0) continue;
        pace(characters);
        characters = 0;
      }
      pace(characters);
    }
  }

  #pieceOf(id: number): TokenPiece | undefined {
    const cached = this.#pieceCache.get(id);
    if (cached) return cached;
    const token = this.#normalizedContents.get(id) ?? this.#tokens[id];
    if (token === undefined) return undefined;
    const piece = this.#pieces.piece(token);
    this.#pieceCache.set(id, piece);
    return piece;
  }

  #setToken(token: string, id: number): void {
    this.#tokens[id] = token;
    this.#ids.set(token, id);
  }
}

/** Added tokens that are special, that the configuration names (eos and so on), or that look like control tokens. */
function controlTokens({ addedTokens, config }: TokenizerDefinition): Set<AddedToken> {
  const named = new Set<string>();
  const collect = (value: Json | undefined): void => {
    if (typeof value === 'string') named.add(value);
    else if (Array.isArray(value)) for (const entry of value) collect(entry);
    else if (isObject(value)) collect(value.content);
  };
  for (const name of ['bos_token', 'eos_token', 'pad_token', 'unk_token', 'sep_token', 'cls_token', 'mask_token']) {
    collect(config[name]);
  }
  collect(config.additional_special_tokens);
  return new Set(
    addedTokens.filter((token) => token.special || named.has(token.content) || CONTROL_SHAPE.test(token.content)),
  );
}
