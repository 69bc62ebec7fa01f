/** The tokenizer of a GGUF file gives the ids of the tokenizer.json that llama.cpp's converter would make it from. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, test } from 'vitest';
import type { GgufValue } from '../../../src/gguf/gguf-header.js';
import { ggufTokenizer } from '../../../src/text/gguf-tokenizer.js';
import { readTokenizerDefinition } from '../../../src/text/read-tokenizer.js';
import { Tokenizer } from '../../../src/text/tokenizer.js';
import { TokenizerFormatError } from '../../../src/text/tokenizer-file.js';
import { directoryOf, GOLDEN, summary, TEXTS } from '../../support/tokenizer-fixtures.js';

interface TokenizerJson {
  model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
  added_tokens: { id: number; content: string; special: boolean }[];
}

/** As convert_hf_to_gguf.py states a tokenizer.json. */
function metadataOf(kind: string, pre: string): Map<string, GgufValue> {
  const json = JSON.parse(readFileSync(`${directoryOf(kind)}/tokenizer.json`, 'utf8')) as TokenizerJson;
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(json.model.vocab)) tokens[id] = token;
  for (const { id, content } of json.added_tokens) tokens[id] = content;
  const types = new Int32Array(tokens.length).fill(1);
  for (const { id, special } of json.added_tokens) types[id] = special ? 3 : 4;
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.pre', pre],
    ['tokenizer.ggml.tokens', Array.from(tokens, (token, id) => token ?? `[PAD${id}]`)],
    ['tokenizer.ggml.token_type', types],
    ['tokenizer.ggml.merges', json.model.merges.map((merge) => (Array.isArray(merge) ? merge.join(' ') : merge))],
  ]);
}

describe.each([
  ['gpt2', 'gpt-2'],
  ['smollm2', 'smollm'],
  ['qwen2', 'qwen2'],
  ['llama3', 'llama-bpe'],
  ['tekken', 'tekken'],
])('the tokenizer kind %s, stated as %s', (kind, pre) => {
  let tokenizer: Tokenizer;
  let reference: Tokenizer;
  beforeAll(async () => {
    tokenizer = new Tokenizer(ggufTokenizer(metadataOf(kind, pre)));
    const definition = await readTokenizerDefinition(directoryOf(kind));
    // GGUF does not say that a token takes the spaces beside it, or stands alone. The fixtures have such tokens.
    const addedTokens = definition.addedTokens.map((token) => ({
      ...token,
      lstrip: false,
      rstrip: false,
      singleWord: false,
      normalized: false,
    }));
    reference = new Tokenizer({ ...definition, addedTokens });
  });

  it('gives the ids of tokenizer.json, control tokens parsed and not, and decodes them to the same text', () => {
    for (const [name, text] of Object.entries(TEXTS)) {
      const ids = tokenizer.encode(text, { parseControl: true });
      expect(ids, name).toEqual(reference.encode(text, { parseControl: true }));
      expect(tokenizer.encode(text), name).toEqual(reference.encode(text));
      expect(tokenizer.decode(ids), name).toBe(reference.decode(ids));
    }
  });

  it('gives the ids of the Python library for texts without such tokens', () => {
    const same = Object.entries(TEXTS).filter(
      ([name, text]) => JSON.stringify(summary(tokenizer.encode(text))) === JSON.stringify(GOLDEN[kind]?.plain[name]),
    );
    expect(same.length).toBeGreaterThan(0.9 * Object.keys(TEXTS).length);
  });
});

/** A SentencePiece model of `pieces` with scores, behind <unk>, two control tokens and the 256 bytes. */
function scored(pieces: readonly (readonly [string, number])[], more: [string, GgufValue][] = []) {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, ...pieces.map(([piece]) => piece)];
  const types = Int32Array.from(tokens, (_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1));
  const scores = Float32Array.from(tokens, (_, id) => (id < 259 ? 0 : (pieces[id - 259]?.[1] ?? 0)));
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', types],
    ['tokenizer.ggml.scores', scores],
    ['tokenizer.ggml.bos_token_id', 1],
    ['tokenizer.ggml.eos_token_id', 2],
    ['tokenizer.ggml.unknown_token_id', 0],
    ...more,
  ]);
}

/** SentencePiece's own words: of all neighbours whose union is a piece, join the pair with the best score, leftmost first. */
function joinedByScore(text: string, scores: ReadonlyMap<string, number>): string[] {
  const parts = [...`\u2581${text.replaceAll(' ', '\u2581')}`];
  for (;;) {
    let best = -1;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (let at = 0; at + 1 < parts.length; at++) {
      const score = scores.get(`${parts[at]}${parts[at + 1]}`);
      if (score !== undefined && score > bestScore) [best, bestScore] = [at, score];
    }
    if (best < 0) return parts;
    parts.splice(best, 2, `${parts[best]}${parts[best + 1]}`);
  }
}

const LETTERS = ['a', 'b', 'c', '\u2581'];

test("scores give SentencePiece's tokens", () => {
  const piece = fc.string({ unit: fc.constantFrom(...LETTERS), minLength: 2, maxLength: 6 });
  const longer = fc.uniqueArray(piece, { maxLength: 30 });
  fc.assert(
    fc.property(
      longer,
      fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' '), minLength: 1, maxLength: 40 }),
      (many, text) => {
        // Scores of trained models are all different: -1, -2, ... in the order in which pieces were found.
        const pieces = [...many, ...LETTERS].map((each, index) => [each, -index] as const);
        const definition = ggufTokenizer(scored(pieces));
        const tokenizer = new Tokenizer(definition);
        const tokens = [...tokenizer.encode(text)].map((id) => tokenizer.token(id));
        expect(tokens).toEqual(joinedByScore(text, new Map(pieces)));
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      },
    ),
    { numRuns: 500 },
  );
});

test('characters without a token become bytes, and bytes become characters again', () => {
  const tokenizer = new Tokenizer(
    ggufTokenizer(
      scored([
        ['a', -1],
        ['\u2581', -2],
      ]),
    ),
  );
  const ids = tokenizer.encode('aé😀');
  expect([...ids].map((id) => tokenizer.token(id))).toEqual([
    '\u2581',
    'a',
    '<0xC3>',
    '<0xA9>',
    '<0xF0>',
    '<0x9F>',
    '<0x98>',
    '<0x80>',
  ]);
  expect(tokenizer.decode(ids)).toBe('aé😀');
});

test('special tokens, chat template and whether texts begin with the first token come from the metadata', () => {
  const more: [string, GgufValue][] = [
    ['tokenizer.chat_template', '{{ bos_token }}{{ messages }}'],
    ['tokenizer.ggml.add_bos_token', false],
    ['tokenizer.ggml.add_eos_token', true],
  ];
  const definition = ggufTokenizer(scored([['a', 0]], more));
  expect(definition.chatTemplate).toBe('{{ bos_token }}{{ messages }}');
  expect(definition.config).toEqual({
    bos_token: '<s>',
    eos_token: '</s>',
    unk_token: '<unk>',
    add_bos_token: false,
    add_eos_token: true,
  });
  expect([...new Tokenizer(definition).controlIds]).toEqual([0, 1, 2]);
  expect(ggufTokenizer(scored([['a', 0]])).config.add_bos_token).toBe(true);
});

describe('metadata that cannot be used is refused by name', () => {
  const bpe = () => metadataOf('smollm2', 'smollm');
  test.each<[string, Map<string, GgufValue>, string, GgufValue | undefined, string]>([
    ['another model', bpe(), 'tokenizer.ggml.model', 'rwkv', 'tokenizer.ggml.model "rwkv" is unsupported'],
    ['no model', bpe(), 'tokenizer.ggml.model', undefined, 'tokenizer.ggml.model none is unsupported'],
    ['another split', bpe(), 'tokenizer.ggml.pre', 'kimi-k2', 'tokenizer.ggml.pre "kimi-k2" is unsupported'],
    ['a name of JavaScript', bpe(), 'tokenizer.ggml.pre', 'constructor', '"constructor" is unsupported'],
    ['no split', bpe(), 'tokenizer.ggml.pre', undefined, 'tokenizer.ggml.pre is missing'],
    ['no merges', bpe(), 'tokenizer.ggml.merges', undefined, 'tokenizer.ggml.merges is missing'],
    ['a merge of one', bpe(), 'tokenizer.ggml.merges', ['a'], 'tokenizer.ggml.merges[0] is not a pair'],
    ['a merge of strangers', bpe(), 'tokenizer.ggml.merges', ['\u0001 \u0002'], 'tokenizer.ggml.merges[0] needs'],
    ['no tokens', bpe(), 'tokenizer.ggml.tokens', undefined, 'tokenizer.ggml.tokens is missing'],
    ['tokens of numbers', bpe(), 'tokenizer.ggml.tokens', Int32Array.of(1), 'is not a list of strings'],
    [
      'a token twice',
      scored([
        ['a', 0],
        ['a', 1],
      ]),
      '',
      undefined,
      'gives "a" the ids 259 and 260',
    ],
    ['too few kinds', bpe(), 'tokenizer.ggml.token_type', Int32Array.of(1), 'tokenizer.ggml.token_type'],
    ['too few scores', scored([['a', 0]]), 'tokenizer.ggml.scores', Float32Array.of(1), 'tokenizer.ggml.scores'],
    ['a score that is no number', scored([['a', Number.NaN]]), '', undefined, 'tokenizer.ggml.scores[259]'],
    ['an end without a token', scored([['a', 0]]), 'tokenizer.ggml.eos_token_id', 4000, 'tokenizer.ggml.eos_token_id'],
    ['a template of numbers', bpe(), 'tokenizer.chat_template', 7, 'tokenizer.chat_template is not a string'],
    [
      'a piece of 1000 characters',
      scored([['a'.repeat(1000), 0]]),
      '',
      undefined,
      'too long for a SentencePiece model',
    ],
  ])('%s', (_, metadata, key, value, reason) => {
    if (value === undefined) metadata.delete(key);
    else metadata.set(key, value);
    expect(() => ggufTokenizer(metadata)).toThrow(TokenizerFormatError);
    expect(() => ggufTokenizer(metadata)).toThrow(reason);
  });
});
