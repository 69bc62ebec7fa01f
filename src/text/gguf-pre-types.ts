/**
 * The pre-tokenizers of GGUF files by their name (`tokenizer.ggml.pre`), as tokenizer.json would state them.
 * Names and groups are those of llama.cpp's llama-vocab.cpp. Patterns are those of the models' own tokenizer.json where
 * llama.cpp's differ only in spelling.
 */
import type { JsonObject } from './tokenizer-file.js';

export interface PreType {
  normalizer?: JsonObject;
  preTokenizer: JsonObject;
  /** Words that are a token are not merged. */
  ignoreMerges: boolean;
  /** Whether a text begins with the first token unless the file says otherwise. */
  addBos: boolean;
}

/** The byte alphabet, without a split of its own. */
const BYTES: JsonObject = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
/** The byte alphabet with the split of GPT-2. */
const GPT2: JsonObject = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };
const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";

/** The split of llama 3 and qwen 2, with digits in groups of up to `digits`. */
function modernSplit(digits: string): JsonObject {
  return split(
    `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  );
}

const TEKKEN_PATTERN =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|' +
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|' +
  '\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

const LLAMA3: PreType = {
  preTokenizer: sequence(modernSplit('\\p{N}{1,3}'), BYTES),
  ignoreMerges: true,
  addBos: true,
};
const SMAUG: PreType = { ...LLAMA3, ignoreMerges: false, addBos: false };
const QWEN2: PreType = {
  normalizer: { type: 'NFC' },
  preTokenizer: sequence(modernSplit('\\p{N}'), BYTES),
  ignoreMerges: false,
  addBos: false,
};
const SMOLLM: PreType = {
  preTokenizer: sequence({ type: 'Digits', individual_digits: true }, GPT2),
  ignoreMerges: false,
  addBos: false,
};
const GPT_2: PreType = { preTokenizer: GPT2, ignoreMerges: false, addBos: false };
const TEKKEN: PreType = { preTokenizer: sequence(split(TEKKEN_PATTERN), BYTES), ignoreMerges: true, addBos: true };
const DEFAULT: PreType = {
  preTokenizer: sequence(
    split('[\\p{P}\\$\\+<=>\\^~\\|]+'),
    split(GPT2_PATTERN),
    split('\\p{N}+'),
    split('[0-9][0-9][0-9]'),
    BYTES,
  ),
  ignoreMerges: false,
  addBos: false,
};

export const PRE_TYPES: Readonly<Record<string, PreType>> = {
  default: DEFAULT,
  'llama-bpe': LLAMA3,
  llama3: LLAMA3,
  'llama-v3': LLAMA3,
  falcon3: LLAMA3,
  'smaug-bpe': SMAUG,
  dbrx: SMAUG,
  qwen2: QWEN2,
  'deepseek-r1-qwen': QWEN2,
  smollm: SMOLLM,
  starcoder: SMOLLM,
  refact: SMOLLM,
  'command-r': SMOLLM,
  codeshell: SMOLLM,
  'gpt-2': GPT_2,
  mpt: GPT_2,
  olmo: GPT_2,
  tekken: TEKKEN,
};

function split(regex: string): JsonObject {
  return { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false };
}

function sequence(...pretokenizers: JsonObject[]): JsonObject {
  return { type: 'Sequence', pretokenizers };
}
