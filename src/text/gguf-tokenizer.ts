/**
 * The tokenizer of a GGUF file, from its metadata (`tokenizer.ggml.*`, `tokenizer.chat_template`), in the words of
 * tokenizer.json. Two kinds: byte-level BPE with merges (`gpt2`), and SentencePiece's BPE with a score for each token
 * (`llama`). Refuses others by name.
 * Knows the metadata; `gguf-pre-types.ts` knows how each family splits text.
 */
import { readGgufHeader } from '../gguf/gguf-file.js';
import { type GgufValue, refuseGguf } from '../gguf/gguf-header.js';
import { PRE_TYPES } from './gguf-pre-types.js';
import {
  type AddedToken,
  type BpeDefinition,
  type Json,
  type JsonObject,
  MAX_TEMPLATE_CHARACTERS,
  parseMerges,
  quote,
  type TokenizerDefinition,
  TokenizerFormatError,
} from './tokenizer-file.js';

type Metadata = ReadonlyMap<string, GgufValue>;

/** Kinds of tokens, from llama.h (enum llama_token_type). */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const NORMAL = 1;

const MAX_TOKEN_CHARACTERS = 4096;
/** SentencePiece: longer tokens are refused, since each place of one may be a merge. Real ones have up to 48. */
const MAX_PIECE_CHARACTERS = 256;
const MAX_PIECES_CHARACTERS = 2 ** 23;
const SPACE = '\u2581';

/** Special tokens: the metadata's key, and the name in tokenizer_config.json. */
const SPECIALS = [
  ['bos_token_id', 'bos_token'],
  ['eos_token_id', 'eos_token'],
  ['unknown_token_id', 'unk_token'],
  ['padding_token_id', 'pad_token'],
] as const;

/** @throws BlockstitchError `checkpoint_invalid` with the reason */
export async function readGgufTokenizer(file: string): Promise<TokenizerDefinition> {
  const { metadata } = await readGgufHeader(file);
  try {
    return ggufTokenizer(metadata);
  } catch (error) {
    if (error instanceof TokenizerFormatError) refuseGguf(file, error.message, error);
    throw error;
  }
}

/** @throws TokenizerFormatError naming the metadata key */
export function ggufTokenizer(metadata: Metadata): TokenizerDefinition {
  const tokens = strings(metadata, 'tokenizer.ggml.tokens');
  const types = tokenTypes(metadata, tokens.length);
  const vocab = vocabulary(tokens);
  const kind = metadata.get('tokenizer.ggml.model');
  if (kind !== 'gpt2' && kind !== 'llama') {
    throw new TokenizerFormatError(`its tokenizer.ggml.model ${shown(kind)} is unsupported (known: gpt2, llama)`);
  }
  const parts = kind === 'gpt2' ? byteLevel(metadata, vocab) : sentencePiece(metadata, tokens, types, vocab);
  const settings = config(metadata, tokens, parts.addBos);
  return {
    ...parts.definition,
    postProcessor: settings.add_bos_token === true ? bosInFront(metadata, settings.bos_token ?? null) : undefined,
    addedTokens: addedTokens(tokens, types),
    config: settings,
    chatTemplate: chatTemplate(metadata),
  };
}

interface Parts {
  definition: Pick<TokenizerDefinition, 'model' | 'normalizer' | 'preTokenizer' | 'decoder'>;
  addBos: boolean;
}

function byteLevel(metadata: Metadata, vocab: ReadonlyMap<string, number>): Parts {
  const name = metadata.get('tokenizer.ggml.pre');
  const pre = typeof name === 'string' && Object.hasOwn(PRE_TYPES, name) ? PRE_TYPES[name] : undefined;
  if (pre === undefined) {
    const known = Object.keys(PRE_TYPES).join(', ');
    const what = name === undefined ? 'is missing' : `${shown(name)} is unsupported`;
    throw new TokenizerFormatError(`its tokenizer.ggml.pre ${what} (known: ${known})`);
  }
  const model: BpeDefinition = {
    vocab,
    merges: parseMerges(strings(metadata, 'tokenizer.ggml.merges'), 'tokenizer.ggml.merges', vocab),
    unkToken: undefined,
    fuseUnk: false,
    byteFallback: false,
    ignoreMerges: pre.ignoreMerges,
  };
  const { normalizer, preTokenizer, addBos } = pre;
  return { definition: { model, normalizer, preTokenizer, decoder: { type: 'ByteLevel' } }, addBos };
}

/**
 * SentencePiece's BPE joins the pair whose union has the best score. So the pairs of each token, in order of score, are
 * merges in order of rank. As `transformers` converts such models (SentencePieceExtractor).
 */
function sentencePiece(
  metadata: Metadata,
  tokens: readonly string[],
  types: Int32Array,
  vocab: ReadonlyMap<string, number>,
): Parts {
  const scores = metadata.get('tokenizer.ggml.scores');
  if (!(scores instanceof Float32Array) || scores.length !== tokens.length) {
    throw new TokenizerFormatError('its tokenizer.ggml.scores is not a list of a float32 for each token');
  }
  const unknown = metadata.get('tokenizer.ggml.unknown_token_id') ?? 0;
  const prefixed = metadata.get('tokenizer.ggml.add_space_prefix') !== false;
  const replace: JsonObject = { type: 'Replace', pattern: { String: ' ' }, content: SPACE };
  const prepend: JsonObject = { type: 'Prepend', prepend: SPACE };
  const model: BpeDefinition = {
    vocab,
    merges: scoredMerges(tokens, types, scores, vocab),
    unkToken: typeof unknown === 'number' ? tokens[unknown] : undefined,
    fuseUnk: true,
    byteFallback: true,
    ignoreMerges: false,
  };
  const decoders: JsonObject[] = [
    { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    ...(prefixed ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
  ];
  return {
    definition: {
      model,
      normalizer: { type: 'Sequence', normalizers: prefixed ? [prepend, replace] : [replace] },
      preTokenizer: undefined,
      decoder: { type: 'Sequence', decoders },
    },
    addBos: true,
  };
}

function scoredMerges(
  tokens: readonly string[],
  types: Int32Array,
  scores: Float32Array,
  vocab: ReadonlyMap<string, number>,
): [string, string][] {
  const normal = [...tokens.keys()].filter((id) => types[id] === NORMAL);
  let characters = 0;
  for (const id of normal) {
    const { length } = tokens[id] as string;
    characters += length;
    if (length > MAX_PIECE_CHARACTERS || characters > MAX_PIECES_CHARACTERS) {
      throw new TokenizerFormatError('its tokenizer.ggml.tokens are too long for a SentencePiece model');
    }
    if (Number.isNaN(scores[id])) throw new TokenizerFormatError(`its tokenizer.ggml.scores[${id}] is not a number`);
  }
  normal.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const merges: [string, string][] = [];
  for (const id of normal) {
    const token = tokens[id] as string;
    const pairs: [string, string][] = [];
    for (let at = 1; at < token.length; at++) {
      const left = token.slice(0, at);
      if (!vocab.has(left)) continue;
      const right = token.slice(at);
      if (vocab.has(right)) pairs.push([left, right]);
    }
    const idOf = (part: string) => vocab.get(part) ?? 0;
    merges.push(...pairs.sort((a, b) => idOf(a[0]) - idOf(b[0]) || idOf(a[1]) - idOf(b[1])));
  }
  return merges;
}

function vocabulary(tokens: readonly string[]): Map<string, number> {
  const vocab = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    if (token.length > MAX_TOKEN_CHARACTERS) {
      throw new TokenizerFormatError(`the token with id ${id} has more than ${MAX_TOKEN_CHARACTERS} characters`);
    }
    const other = vocab.get(token);
    if (other !== undefined) {
      throw new TokenizerFormatError(`its tokenizer.ggml.tokens gives ${quote(token)} the ids ${other} and ${id}`);
    }
    vocab.set(token, id);
  }
  if (vocab.size === 0) throw new TokenizerFormatError('its tokenizer.ggml.tokens is empty');
  return vocab;
}

/** Kinds of the tokens by id; all are normal if the file has no kinds. */
function tokenTypes(metadata: Metadata, length: number): Int32Array {
  const types = metadata.get('tokenizer.ggml.token_type') ?? new Int32Array(length).fill(NORMAL);
  if (!(types instanceof Int32Array) || types.length !== length) {
    throw new TokenizerFormatError('its tokenizer.ggml.token_type is not a list of an int32 for each token');
  }
  return types;
}

/** Control tokens, and tokens that are taken whole wherever they stand in a text. */
function addedTokens(tokens: readonly string[], types: Int32Array): AddedToken[] {
  return tokens.flatMap((content, id): AddedToken[] => {
    const type = types[id];
    if (type !== CONTROL && type !== USER_DEFINED && type !== UNKNOWN) return [];
    if (content === '') throw new TokenizerFormatError(`the token with id ${id} is empty`);
    const special = type !== USER_DEFINED;
    return [{ id, content, singleWord: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
}

/** What tokenizer_config.json would say. */
function config(metadata: Metadata, tokens: readonly string[], addBos: boolean): JsonObject {
  const result: JsonObject = {};
  for (const [key, name] of SPECIALS) {
    const id = metadata.get(`tokenizer.ggml.${key}`);
    if (id === undefined) continue;
    const token = typeof id === 'number' ? tokens[id] : undefined;
    if (token === undefined) {
      throw new TokenizerFormatError(`its tokenizer.ggml.${key} is ${shown(id)}, not the id of one of its tokens`);
    }
    result[name] = token;
  }
  result.add_bos_token = (metadata.get('tokenizer.ggml.add_bos_token') ?? addBos) === true;
  result.add_eos_token = metadata.get('tokenizer.ggml.add_eos_token') === true;
  return result;
}

/** A raw prompt begins with BOS: what tokenizer.json would say of it. */
function bosInFront(metadata: Metadata, bos: Json): JsonObject | undefined {
  const id = metadata.get('tokenizer.ggml.bos_token_id');
  if (typeof bos !== 'string' || typeof id !== 'number') return undefined;
  const single = [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }];
  return { type: 'TemplateProcessing', single, special_tokens: { [bos]: { id: bos, ids: [id], tokens: [bos] } } };
}

function chatTemplate(metadata: Metadata): string | undefined {
  const template = metadata.get('tokenizer.chat_template');
  if (template === undefined) return undefined;
  if (typeof template !== 'string') throw new TokenizerFormatError('its tokenizer.chat_template is not a string');
  if (template.length > MAX_TEMPLATE_CHARACTERS) {
    throw new TokenizerFormatError(`its tokenizer.chat_template has more than ${MAX_TEMPLATE_CHARACTERS} characters`);
  }
  return template;
}

function strings(metadata: Metadata, key: string): readonly string[] {
  const value = metadata.get(key);
  if (value === undefined) throw new TokenizerFormatError(`its ${key} is missing`);
  if (!Array.isArray(value)) throw new TokenizerFormatError(`its ${key} is not a list of strings`);
  return value as readonly string[];
}

function shown(value: GgufValue | undefined): string {
  if (typeof value === 'string' || typeof value === 'number') return quote(value);
  return value === undefined ? 'none' : 'of another type';
}
