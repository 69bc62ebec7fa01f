/** Headings stand with what they head, whatever the trained network thinks of the boundary. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSegmenter } from '../../../src/segment/create-segmenter.js';
import type { Segmenter } from '../../../src/segment/segmenter.js';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const SENTENCES = [
  'The holder fits bars of many sizes and is closed with a buckle.',
  'A full battery lasts for three hours at the highest power.',
  'Wipe the case with a dry cloth and do not use sprays.',
  'Salaries are paid on the twenty-fifth of each month.',
];
const text = Array.from({ length: 24 }, (_, at) => {
  const body = Array.from({ length: 1 + (at % 5) }, (_, line) => SENTENCES[(at + line) % SENTENCES.length]).join(' ');
  return `${'#'.repeat(1 + (at % 3))} Part ${at}\n${body}\n\n`;
}).join('');

let service: TextService;
let segmenter: Segmenter;
beforeAll(async () => {
  service = await createTextService({ checkpointDir: directoryOf('qwen2'), maxThreads: 1 });
  const modelDir = new URL('../../../models/segmenter', import.meta.url).pathname;
  segmenter = await createSegmenter('semantic', { textService: service, modelDir, encoderDir: '' });
});
afterAll(() => service.close());

test.each([80, 160, 400])('no block of about %i tokens ends with a heading', async (targetTokens) => {
  const segments = await segmenter.segment(text, { targetTokens });
  expect(segments.length).toBeGreaterThan(1);
  for (const { start, end } of segments) {
    expect(text.slice(start, end).trimEnd().split('\n').at(-1)).not.toMatch(/^#/);
  }
});

test.each(['air-cleaner', 'bike-light', 'handbook', 'kettle'])(
  'the manual %s is no prompt: no seam parts it',
  async (name) => {
    const manual = await readFile(new URL(`../../../models/smollm2/samples/${name}.md`, import.meta.url), 'utf8');
    const segments = await segmenter.segment(manual, {});
    expect(Math.min(...segments.map(({ tokens }) => tokens))).toBeGreaterThan(50);
  },
);
