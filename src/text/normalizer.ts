/**
 * Normalizers of tokenizer.json as functions from text to text: NFC, NFD, NFKC, NFKD, Prepend, Replace, Lowercase,
 * Strip and Sequence. Others are refused by name.
 */
import { compilePattern, matchPieces } from './pattern.js';
import { isObject, type JsonObject, quote, TokenizerFormatError } from './tokenizer-file.js';
import { normalizePinned } from './unicode-pin.js';

export type Normalize = (text: string) => string;

/** @throws TokenizerFormatError for a normalizer that is not known */
export function createNormalizer(config: JsonObject | undefined): Normalize | undefined {
  if (config === undefined) return undefined;
  switch (config.type) {
    case 'Sequence':
      return createSequence(config);
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = config.type;
      return (text) => normalizePinned(text, form);
    }
    case 'Prepend': {
      const prefix = readString(config, 'prepend');
      return (text) => (text === '' ? text : prefix + text);
    }
    case 'Replace':
      return createReplace(config);
    case 'Lowercase':
      // The Python library goes character by character, so a final sigma is no exception.
      return (text) => text.replaceAll('\u03A3', '\u03C3').toLowerCase();
    case 'Strip':
      return createStrip(config);
    default:
      throw new TokenizerFormatError(`normalizer type ${quote(config.type)} is not supported`);
  }
}

function createSequence(config: JsonObject): Normalize {
  if (!Array.isArray(config.normalizers)) throw new TokenizerFormatError('normalizer.normalizers is not a list');
  const steps = config.normalizers.map((entry, index) => {
    const step = isObject(entry) ? createNormalizer(entry) : undefined;
    if (!step) throw new TokenizerFormatError(`normalizer.normalizers[${index}] is not an object`);
    return step;
  });
  return (text) => steps.reduce((current, step) => step(current), text);
}

function createReplace(config: JsonObject): Normalize {
  const content = readString(config, 'content');
  const literal = isObject(config.pattern) ? config.pattern.String : undefined;
  if (typeof literal === 'string' && literal !== '') return (text) => text.split(literal).join(content);
  const pattern = compilePattern(config.pattern, 'normalizer');
  return (text) =>
    matchPieces(text, pattern)
      .map((piece) => (piece.isMatch ? content : piece.text))
      .join('');
}

function createStrip(config: JsonObject): Normalize {
  const left = config.strip_left === true;
  const right = config.strip_right === true;
  return (text) => {
    let start = 0;
    let end = text.length;
    while (left && start < end && /\p{White_Space}/u.test(text[start] ?? '')) start += 1;
    while (right && end > start && /\p{White_Space}/u.test(text[end - 1] ?? '')) end -= 1;
    return text.slice(start, end);
  };
}

function readString(config: JsonObject, name: string): string {
  const value = config[name];
  if (typeof value !== 'string') throw new TokenizerFormatError(`normalizer.${name} ${quote(value)} is not a string`);
  return value;
}
