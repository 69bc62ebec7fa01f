/** The ends of an answer and the front of a prompt, from what several files of a checkpoint say. */
import { describe, expect, test } from 'vitest';
import type { ModelConfig } from '../../../src/model/imported-model.js';
import { resolveSpecialTokens } from '../../../src/server/special-tokens.js';
import { readTokenizerDefinition } from '../../../src/text/read-tokenizer.js';
import { Tokenizer } from '../../../src/text/tokenizer.js';
import type { JsonObject } from '../../../src/text/tokenizer-file.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const tokenizer = new Tokenizer(await readTokenizerDefinition(directoryOf('qwen2')));
const END = tokenizer.tokenId('<|im_end|>') as number;
const START = tokenizer.tokenId('<|im_start|>') as number;

function resolve(config: Partial<ModelConfig>, files: JsonObject, idLimit = tokenizer.vocabSize) {
  const model = { eosTokenIds: [], ...config } as unknown as ModelConfig;
  return resolveSpecialTokens({ config: model }, { config: files, tokenizer, idLimit });
}

describe('an answer ends at a token that any file names', () => {
  test.each<[string, number[], JsonObject, number[]]>([
    ['only the tokenizer, as text', [], { eos_token: '<|im_end|>' }, [END]],
    ['only the tokenizer, as an object', [], { eos_token: { content: '<|im_end|>', lstrip: false } }, [END]],
    ['config and tokenizer', [5], { eos_token: '<|im_end|>' }, [5, END]],
    ['both the same', [END], { eos_token: '<|im_end|>' }, [END]],
    ['only config', [5, 6], { eos_token: null }, [5, 6]],
  ])('%s', (_, ids, files, ends) => {
    const { eosTokenIds, notices } = resolve({ eosTokenIds: ids }, files);
    expect([eosTokenIds, notices]).toEqual([ends, []]);
  });

  test('no file names one: that is said', () => {
    expect(resolve({}, {}).notices).toEqual([expect.stringMatching(/answers run to max_tokens/)]);
  });

  test('a name without an id, or with one that the model lacks, is said and not taken', () => {
    const unknown = resolve({ eosTokenIds: [5] }, { eos_token: '<none>' });
    expect([unknown.eosTokenIds, unknown.notices]).toEqual([
      [5],
      [expect.stringMatching(/eos_token "<none>".*ignored/)],
    ]);
    const outside = resolve({ eosTokenIds: [5] }, { eos_token: '<|im_end|>' }, END);
    expect([outside.eosTokenIds, outside.notices[0]]).toEqual([[5], expect.stringContaining(`the id ${END}`)]);
  });
});

describe('a prompt under block attention begins with', () => {
  test.each<[string, Partial<ModelConfig>, JsonObject, number[], boolean]>([
    [
      'learned sinks, also under full attention',
      { bosTokenId: 1, blockAttention: { mode: 'block', sinkTokenIds: [7, 8] } },
      {},
      [7, 8],
      true,
    ],
    [
      'no sinks, if the checkpoint says so',
      { bosTokenId: 1, blockAttention: { mode: 'block', sinkTokenIds: [] } },
      {},
      [],
      true,
    ],
    ["config.json's BOS", { bosTokenId: 1 }, { bos_token: '<|im_start|>' }, [1], false],
    ["the tokenizer's BOS, if only it names one", {}, { bos_token: '<|im_start|>' }, [START], false],
    ['nothing, if no file names a BOS', {}, { bos_token: null }, [], false],
    [
      'learned sinks, and has others around its blocks',
      { blockAttention: { mode: 'block', sinkTokenIds: [7], edges: { start: [], end: [9] } } },
      {},
      [7],
      true,
    ],
  ])('%s', (_, config, files, sinks, underFull) => {
    const { sinkTokenIds, edges, sinksUnderFull } = resolve({ eosTokenIds: [5], ...config }, files);
    expect([[...sinkTokenIds], sinksUnderFull]).toEqual([sinks, underFull]);
    const { start = [], end = [] } = config.blockAttention?.edges ?? {};
    expect([[...edges.start], [...edges.end]]).toEqual([start, end]);
  });
});
