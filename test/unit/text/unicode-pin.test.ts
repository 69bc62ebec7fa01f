/** Character classes and normalization equal those of the Python library's Unicode versions, over all code points. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createNormalizer } from '../../../src/text/normalizer.js';
import { createPreTokenizer } from '../../../src/text/pre-tokenizer.js';
import type { JsonObject } from '../../../src/text/tokenizer-file.js';
import { SWEEP } from '../../support/tokenizer-fixtures.js';

const QWEN2 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const TEKKEN =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const SPLITS: Record<string, JsonObject> = {
  gpt2: { type: 'ByteLevel', add_prefix_space: false },
  qwen2: split(QWEN2),
  llama3: split(QWEN2.replace('|\\p{N}|', '|\\p{N}{1,3}|')),
  tekken: split(TEKKEN),
  digits: { type: 'Digits', individual_digits: true },
};

function split(regex: string): JsonObject {
  return { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false };
}

function* chunks(): Generator<string> {
  for (let start = 0; start < 0x110000; start += 4096) {
    const parts: string[] = [];
    for (let code = Math.max(start, 1); code < start + 4096; code += 1) {
      if (code >= 0xd800 && code < 0xe000) continue;
      const character = String.fromCodePoint(code);
      parts.push(`a${character}b 1${character}2 ${character}\u0323\u0345A`);
    }
    yield parts.join('');
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function differing(name: string, transform: (text: string) => string): string[] {
  const differing: string[] = [];
  for (const [index, text] of [...chunks()].entries()) {
    if (hash(transform(text)) !== SWEEP[name]?.[index]) differing.push(`U+${(index * 4096).toString(16)}`);
  }
  return differing;
}

describe('every code point of Unicode', () => {
  it.each(Object.entries(SPLITS))('splits into words as the Python library does: %s', (name, config) => {
    const preTokenizer = createPreTokenizer(config);
    expect(differing(name, (text) => preTokenizer.split(text, true).join('\0'))).toEqual([]);
  });

  it.each(['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase'])('normalizes as the Python library does: %s', (type) => {
    const normalize = createNormalizer({ type });
    expect(differing(type, (text) => normalize?.(text) ?? text)).toEqual([]);
  });
});
