/**
 * Pre-tokenizers of tokenizer.json: text in, words out. The BPE model merges only within a word. Byte-level mapping is
 * the model's work, which reads the words' UTF-8 bytes; here it only sets a flag.
 */
import {
  applyBehavior,
  compilePattern,
  matchPieces,
  readBehavior,
  type SplitBehavior,
  splitIsolated,
} from './pattern.js';
import { isObject, type JsonObject, quote, TokenizerFormatError } from './tokenizer-file.js';

/** @param atStart whether the word stands at the very start of the text that was given to encode */
type Step = (word: string, atStart: boolean) => string[];

export interface PreTokenizer {
  split: Step;
  /** Words are to be read as UTF-8 bytes in the byte-level alphabet. */
  byteLevel: boolean;
}

/** The split of GPT-2, which ByteLevel applies unless told otherwise. */
const BYTE_LEVEL_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** @throws TokenizerFormatError for a pre-tokenizer that is not known */
export function createPreTokenizer(config: JsonObject | undefined): PreTokenizer {
  const configs = config === undefined ? [] : flatten(config);
  const byteLevelAt = configs.findIndex((entry) => entry.type === 'ByteLevel');
  if (byteLevelAt >= 0 && byteLevelAt !== configs.length - 1) {
    throw new TokenizerFormatError('a pre_tokenizer after ByteLevel is not supported');
  }
  const steps = configs.filter((entry) => !leavesWhole(entry)).map(createStep);
  return {
    byteLevel: byteLevelAt >= 0,
    split: (text, atStart) => {
      let words = [text];
      for (const step of steps) {
        const pieces =
          words.length === 1
            ? step(words[0] as string, atStart)
            : words.flatMap((word, index) => step(word, atStart && index === 0));
        words = pieces.includes('') ? pieces.filter((piece) => piece !== '') : pieces;
      }
      return words;
    },
  };
}

function flatten(config: JsonObject): JsonObject[] {
  if (config.type !== 'Sequence') return [config];
  if (!Array.isArray(config.pretokenizers)) throw new TokenizerFormatError('pre_tokenizer.pretokenizers is not a list');
  return config.pretokenizers.flatMap((entry, index) => {
    if (!isObject(entry)) throw new TokenizerFormatError(`pre_tokenizer.pretokenizers[${index}] is not an object`);
    return flatten(entry);
  });
}

function createStep(config: JsonObject): Step {
  switch (config.type) {
    case 'ByteLevel':
      return createByteLevel(config);
    case 'Metaspace':
      return createMetaspace(config);
    case 'Split': {
      const pattern = compilePattern(config.pattern, 'pre_tokenizer');
      return splitAt(pattern, readBehavior(config.behavior, 'pre_tokenizer'), config.invert === true);
    }
    case 'Digits':
      // These are the Rust compiler's classes, not the regex engine's. They are as new as Node's.
      return (word) =>
        applyBehavior(
          matchPieces(word, /\p{N}/gu, false),
          config.individual_digits === true ? 'Isolated' : 'Contiguous',
        );
    case 'Punctuation':
      return splitAt(
        /[\p{P}\u0021-\u002F\u003A-\u0040\u005B-\u0060\u007B-\u007E]/gu,
        readBehavior(config.behavior ?? 'Isolated', 'pre_tokenizer'),
      );
    case 'Whitespace':
      return splitAt(
        /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu,
        'Removed',
        true,
      );
    case 'WhitespaceSplit':
      return splitAt(/\p{White_Space}/gu, 'Removed');
    default:
      throw new TokenizerFormatError(`pre_tokenizer type ${quote(config.type)} is not supported`);
  }
}

function splitAt(pattern: RegExp, behavior: SplitBehavior, invert = false): Step {
  if (behavior === 'Isolated') return (word) => splitIsolated(word, pattern);
  return (word) => applyBehavior(matchPieces(word, pattern), behavior, invert);
}

/** Whether a step leaves each word as it is. ByteLevel behind a Split only names the alphabet. */
function leavesWhole({ type, use_regex: useRegex, add_prefix_space: prefix }: JsonObject): boolean {
  return type === 'ByteLevel' && useRegex === false && prefix !== true;
}

function createByteLevel(config: JsonObject): Step {
  const addPrefixSpace = config.add_prefix_space === true;
  const useRegex = config.use_regex !== false;
  const pattern = compilePattern({ Regex: BYTE_LEVEL_PATTERN }, 'pre_tokenizer');
  return (word) => {
    const prefixed = addPrefixSpace && !word.startsWith(' ') ? ` ${word}` : word;
    return useRegex ? splitIsolated(prefixed, pattern) : [prefixed];
  };
}

function createMetaspace(config: JsonObject): Step {
  const replacement = typeof config.replacement === 'string' ? config.replacement : '\u2581';
  // Files of old library versions have add_prefix_space in place of prepend_scheme.
  const scheme = config.prepend_scheme ?? (config.add_prefix_space === false ? 'never' : 'always');
  if (scheme !== 'always' && scheme !== 'first' && scheme !== 'never') {
    throw new TokenizerFormatError(`pre_tokenizer.prepend_scheme ${quote(scheme)} is not supported`);
  }
  const splits = config.split !== false;
  return (word, atStart) => {
    let spaced = word.replaceAll(' ', () => replacement);
    const prepends = scheme === 'always' || (scheme === 'first' && atStart);
    if (prepends && !spaced.startsWith(replacement)) spaced = replacement + spaced;
    return splits ? splitBefore(spaced, replacement) : [spaced];
  };
}

/** Splits in front of every separator: "▁a▁▁b" -> "▁a", "▁", "▁b". */
function splitBefore(text: string, separator: string): string[] {
  const words: string[] = [];
  let start = 0;
  for (;;) {
    const next = text.indexOf(separator, start + separator.length);
    if (next < 0) break;
    words.push(text.slice(start, next));
    start = next;
  }
  words.push(text.slice(start));
  return words;
}
