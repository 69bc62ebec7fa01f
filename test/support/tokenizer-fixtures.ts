/** The tokenizers of test/fixtures/tokenizers, and the Python library's ids of the corpus with each of them. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type Golden = number[] | { count: number; sha256: string };

export interface KindGolden {
  parsed: Record<string, Golden>;
  plain: Record<string, Golden>;
  long: Record<string, Golden>;
  decoded: Record<string, string>;
}

const ROOT = fileURLToPath(new URL('../fixtures/tokenizers/', import.meta.url));

export const KINDS = ['gpt2', 'prefix', 'smollm2', 'qwen2', 'llama3', 'tekken', 'llama2', 'mistral', 'metaspace'];

export function directoryOf(kind: string): string {
  return `${ROOT}${kind}`;
}

export const TEXTS = read<Record<string, string>>('texts.json');
export const GOLDEN = read<Record<string, KindGolden>>('golden.json');
export const SWEEP = read<Record<string, string[]>>('sweep.json');

/** Texts made by the same rules as in training/fixtures/make_tokenizers.py. */
export function longTexts(): Record<string, string> {
  return {
    letter: 'a'.repeat(1_000_000),
    spaces: `${' '.repeat(300_000)}x`,
    lines: '\n'.repeat(100_000),
    cjk: '中'.repeat(200_000),
    emoji: '😀'.repeat(100_000),
    words: 'the lighthouse 123 '.repeat(20_000),
  };
}

/** Ids in the form that the golden file keeps them in. */
export function summary(ids: Int32Array): Golden {
  if (ids.length <= 48) return [...ids];
  const bytes = Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength);
  return { count: ids.length, sha256: createHash('sha256').update(bytes).digest('hex').slice(0, 24) };
}

function read<Content>(name: string): Content {
  return JSON.parse(readFileSync(`${ROOT}${name}`, 'utf8')) as Content;
}
