/** The text service: bad files and texts refused with their reason, the event loop kept free. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import { longestBlock } from '../../support/loop-blocking.js';
import { directoryOf, GOLDEN, summary } from '../../support/tokenizer-fixtures.js';

let directory: string;
let service: TextService;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'blockstitch-text-'));
  service = await createTextService({ checkpointDir: directoryOf('qwen2') });
});

afterAll(async () => {
  await service.close();
  await rm(directory, { recursive: true });
});

describe('tokenizer files', () => {
  const good = async () => JSON.parse(await readFile(`${directoryOf('qwen2')}/tokenizer.json`, 'utf8'));
  const refused: [string, (json: { model: object }) => unknown, RegExp][] = [
    ['truncated', (json) => JSON.stringify(json).slice(0, 5000), /not valid JSON/],
    ['not an object', () => [1], /not a JSON object/],
    [
      'of another model type',
      (json) => ({ ...json, model: { type: 'WordPiece', vocab: {} } }),
      /model type "WordPiece"/,
    ],
    [
      'with an id that is no number',
      (json) => ({ ...json, model: { ...json.model, vocab: { a: 'x' } } }),
      /has the id "x"/,
    ],
    [
      'with a huge id',
      (json) => ({ ...json, model: { ...json.model, vocab: { a: 1e12 } } }),
      /has the id 1000000000000/,
    ],
    [
      'with an id twice',
      (json) => ({ ...json, model: { ...json.model, vocab: { a: 1, b: 1 }, merges: [] } }),
      /id 1 twice/,
    ],
    [
      'with a merge of unknown tokens',
      (json) => ({ ...json, model: { ...json.model, merges: [['zz', 'qq']] } }),
      /merges\[0\]/,
    ],
    ['with random ids', (json) => ({ ...json, model: { ...json.model, dropout: 0.1 } }), /dropout/],
    ['with an unknown normalizer', (json) => ({ ...json, normalizer: { type: 'Magic' } }), /normalizer type "Magic"/],
    [
      'with an unknown pre-tokenizer',
      (json) => ({ ...json, pre_tokenizer: { type: 'Magic' } }),
      /pre_tokenizer type "Magic"/,
    ],
    ['with an unknown decoder', (json) => ({ ...json, decoder: { type: 'Magic' } }), /decoder type "Magic"/],
    [
      'with a broken pattern',
      (json) => ({ ...json, pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } }),
      /cannot be compiled/,
    ],
    ['nested without end', () => `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`, /nested deeper/],
  ];

  it.each(refused)('are refused when %s', async (_, spoil, reason) => {
    const content = spoil(await good());
    await writeFile(join(directory, 'tokenizer.json'), typeof content === 'string' ? content : JSON.stringify(content));
    await expect(createTextService({ checkpointDir: directory })).rejects.toMatchObject({
      code: 'checkpoint_invalid',
      message: expect.stringMatching(reason),
    });
  });

  it('are refused when missing or not UTF-8', async () => {
    await expect(createTextService({ checkpointDir: join(directory, 'none') })).rejects.toMatchObject({
      code: 'checkpoint_invalid',
    });
    await writeFile(join(directory, 'tokenizer.json'), Buffer.from([0xff, 0xfe, 0x7b]));
    await expect(createTextService({ checkpointDir: directory })).rejects.toThrow(/not UTF-8/);
  });
});

describe('texts', () => {
  it('with a lone surrogate are refused with its place', async () => {
    await expect(service.encode('ab\ud800c', { param: 'documents[0].text' })).rejects.toMatchObject({
      code: 'text_not_encodable',
      status: 422,
      param: 'documents[0].text',
      message: expect.stringContaining('U+D800 at character 2'),
    });
  });

  it('give the same ids in a worker as here, one by one and together', async () => {
    const texts = ['short', 'x '.repeat(9000), '中文'.repeat(10)];
    const together = await service.encodeAll(texts);
    for (const [index, text] of texts.entries()) {
      expect(together[index]).toEqual(service.tokenizer.encode(text));
      expect(await service.encode(text)).toEqual(together[index]);
    }
    expect([...(await service.countAll(texts))]).toEqual(together.map((ids) => ids.length));
  });

  it('leave the event loop free: a megabyte of one letter, and a thousand short texts', async () => {
    await service.encode('x'.repeat(20_000));
    const { result: ids, blockedMs } = await longestBlock(async () => {
      const long = await service.encode('a'.repeat(1_000_000));
      for (let round = 0; round < 1000; round += 1) await service.encode(`text ${round} ${'word '.repeat(100)}`);
      return long;
    });
    expect(summary(ids)).toEqual(GOLDEN.qwen2?.long.letter);
    expect(blockedMs).toBeLessThan(50);
  });
});
