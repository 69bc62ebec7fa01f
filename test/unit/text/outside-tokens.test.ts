/**
 * A tokenizer with tokens that the model has no row for (common if somebody added tokens and did not resize). The log
 * names them at start, and a text that spells one is refused alone.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PromptBuilder } from '../../../src/prompt/prompt-builder.js';
import { createSegmenter } from '../../../src/segment/create-segmenter.js';
import { createTextService, outsideNotices, type TextService } from '../../../src/text/text-service.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const WORD = 'Zokego';
const CONTROL = '<|extra|>';
const TEMPLATE = '{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}';

let directory: string;
let text: TextService;
let prompts: PromptBuilder;
let rows: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'blockstitch-outside-'));
  await cp(directoryOf('qwen2'), directory, { recursive: true });
  const file = join(directory, 'tokenizer.json');
  const tokenizer = JSON.parse(await readFile(file, 'utf8'));
  const ids = [
    ...Object.values<number>(tokenizer.model.vocab),
    ...tokenizer.added_tokens.map((token: { id: number }) => token.id),
  ];
  rows = Math.max(...ids) + 1;
  const added = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  tokenizer.added_tokens.push({ ...added, id: rows, content: WORD, special: false });
  tokenizer.added_tokens.push({ ...added, id: rows + 5, content: CONTROL, special: true });
  await writeFile(file, JSON.stringify(tokenizer));
  await writeFile(join(directory, 'tokenizer_config.json'), JSON.stringify({ chat_template: TEMPLATE }));
  text = await createTextService({ checkpointDir: directory, vocabSize: rows, maxThreads: 1 });
  prompts = new PromptBuilder({ textService: text, sinkTokenIds: new Int32Array() });
});

afterAll(async () => {
  await text.close();
  await rm(directory, { recursive: true });
});

const refused = (param: string) => ({
  code: 'invalid_request',
  status: 400,
  param,
  message: expect.stringContaining(`${WORD} with id ${rows}`),
});

describe('tokens that the model has no row for', () => {
  it('are named at start', () => {
    expect(text.outside).toEqual([
      { content: WORD, id: rows },
      { content: CONTROL, id: rows + 5 },
    ]);
    expect(outsideNotices(text, rows)).toEqual([
      expect.stringContaining(`${WORD} with id ${rows}, but the model's vocabulary has ${rows} rows`),
      expect.stringContaining(CONTROL),
    ]);
    const many = { outside: Array.from({ length: 100 }, (_, at) => ({ content: `t${at}`, id: rows + at })) };
    expect(outsideNotices(many, rows)).toHaveLength(9);
  });

  it('are refused in chat, documents, completions and blocks, by the field that spells one', async () => {
    const messages = [{ role: 'user', content: `What is ${WORD}?` }];
    await expect(prompts.chat({ messages })).rejects.toMatchObject(refused('messages'));
    const documents = [{ text: 'fine' }, { text: `about ${WORD}` }];
    const ask = [{ role: 'user', content: 'Q' }];
    await expect(prompts.chat({ messages: ask, documents })).rejects.toMatchObject(refused('documents[1].text'));
    await expect(prompts.completion({ prompt: WORD })).rejects.toMatchObject(refused('prompt'));
    await expect(prompts.completion({ prompt: 'x', blocks: ['a', WORD] })).rejects.toMatchObject(refused('blocks[1]'));
    await expect(prompts.completion({ prompt: [1, rows] })).rejects.toMatchObject({
      param: 'prompt[1]',
      message: expect.stringContaining(`0 to ${rows - 1}`),
    });
    expect((await prompts.chat({ messages: ask, documents: [{ text: 'fine' }] })).blocks).toHaveLength(2);
  });

  it.each(['structural', 'fixed', 'embedding'] as const)(
    'are refused by the %s segmenter, short and long',
    async (name) => {
      const segmenter = await createSegmenter(name, { textService: text });
      for (const before of ['', 'word '.repeat(2000)]) {
        await expect(segmenter.segment(`${before}${WORD}`, {})).rejects.toMatchObject(refused('text'));
        await expect(segmenter.segment(`${before}${WORD}`, {}, { param: 'documents[2].text' })).rejects.toMatchObject(
          refused('documents[2].text'),
        );
      }
      expect(await segmenter.segment('word', {})).toHaveLength(1);
    },
  );

  it('that steer the model stay text where a user spells them, and are refused in template text', async () => {
    expect(await text.encode(CONTROL)).toEqual(expect.any(Int32Array));
    await expect(text.encode(CONTROL, { parseControl: true })).rejects.toMatchObject({ code: 'invalid_request' });
    const long = 'word '.repeat(4000);
    await expect(text.encode(long + WORD)).rejects.toMatchObject({ code: 'invalid_request' });
    expect((await text.encode(long)).length).toBeGreaterThan(0);
  });
});
