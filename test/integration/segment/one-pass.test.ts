/**
 * The way of a new document's text into blocks, counted: ids are made once, with any segmenter. They are exactly the
 * ids of each block's text alone.
 */
import { valueSymbol } from 'piscina';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { PromptBuilder } from '../../../src/prompt/prompt-builder.js';
import { type PackedSegments, unpacked } from '../../../src/segment/packed-segments.js';
import { readLimits } from '../../../src/segment/segment-limits.js';
import * as worker from '../../../src/segment/segment-worker.js';
import type { Segment } from '../../../src/segment/segmenter.js';
import { Abandoned, createStopFlag, raise, type StopFlag } from '../../../src/text/pace.js';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import { Tokenizer } from '../../../src/text/tokenizer.js';
import { directoryOf, TEXTS } from '../../support/tokenizer-fixtures.js';

const MODEL_DIR = `${PACKAGE_DIR}models/segmenter`;
const KINDS = ['qwen2', 'llama3', 'llama2', 'metaspace'] as const;

/** Ids that every tokenizer of this process has made, and characters that were only counted. */
const work = { ids: 0, counted: 0 };
let service: TextService;

beforeAll(async () => {
  const { encode, count } = Tokenizer.prototype;
  vi.spyOn(Tokenizer.prototype, 'encode').mockImplementation(function (this: Tokenizer, text, options) {
    const ids = encode.call(this, text, options);
    work.ids += ids.length;
    return ids;
  });
  vi.spyOn(Tokenizer.prototype, 'count').mockImplementation(function (this: Tokenizer, text, options) {
    work.counted += text.length;
    return count.call(this, text, options);
  });
  service = await createTextService({ checkpointDir: directoryOf('qwen2') });
});

beforeEach(() => {
  work.ids = 0;
  work.counted = 0;
});

afterAll(async () => {
  await service.close();
  vi.restoreAllMocks();
});

interface Given {
  text: string;
  checkpointDir?: string;
  maxTokens?: number;
  stop?: StopFlag;
}

/** Runs a worker's function in this process, where its work can be counted. */
async function cut(name: 'semantic' | 'embedding' | 'structural', { text, maxTokens = 512, ...given }: Given) {
  const limits = readLimits({ targetTokens: Math.min(200, maxTokens), maxTokens });
  const task = { checkpointDir: directoryOf('qwen2'), tenant: '', text, limits, ...given };
  const answer =
    name === 'semantic'
      ? await worker.segmentSemantic({ ...task, modelDir: MODEL_DIR })
      : name === 'embedding'
        ? await worker.segmentEmbedding({ ...task, encoderDir: '' })
        : await worker.segment({ ...task, name });
  return unpacked((answer as unknown as Record<symbol, PackedSegments>)[valueSymbol as symbol] as PackedSegments);
}

/** 2 MiB of prose with headings, lists and code. */
function prose(): string {
  const part = (at: number) =>
    `## Part ${at}\n\nThe baker of ${at} kneads the dough. She sells ${at * 7} rolls, cakes and more before ten.\n\n` +
    `- first item ${at}\n- second item\n\n\`\`\`js\nconst x${at} = ${at};\n\`\`\`\n\nA comet passes every ${at + 3} years.\n`;
  let text = '';
  for (let at = 0; text.length < 2 * 2 ** 20; at += 1) text += part(at);
  return text.slice(0, 2 * 2 ** 20);
}

const tokensOf = (segments: readonly Segment[]) => segments.reduce((sum, { tokens }) => sum + tokens, 0);

describe('a new document of 2 MiB', () => {
  it.each(['semantic', 'structural', 'embedding'] as const)(
    'has its ids made once on the way to blocks: cut by the %s segmenter, framed by the template',
    async (name) => {
      const text = prose();
      const segments = await cut(name, { text });
      const inText = tokensOf(segments);
      expect(inText).toBeGreaterThan(400_000);
      // Spans that came out above the maximum are made again, in pieces.
      expect(work.ids / inText).toBeLessThan(1.01);
      expect(work.counted / text.length).toBeLessThan(1.05);

      const builder = new PromptBuilder({ textService: service, sinkTokenIds: new Int32Array() });
      const before = work.ids;
      const blocks = await builder.documentBlocks({ title: 'T', text, segments });
      expect(blocks).toHaveLength(segments.length);
      // Only the first and the last block have the template's text around them.
      expect(work.ids - before).toBeLessThan(2 * 512 + 64);
      expect(work.ids / inText).toBeLessThan(1.01);
    },
  );
});

describe('the ids of each segment', () => {
  it.each(KINDS)('are those that its text has on its own: %s', async (kind) => {
    const checkpointDir = directoryOf(kind);
    const tokenizer = await import('../../../src/text/text-worker.js').then(({ tokenizerOf }) =>
      tokenizerOf(checkpointDir),
    );
    const text = `${Object.values(TEXTS).join('\n\n').toWellFormed()}\n${'x'.repeat(3000)} ${prose().slice(0, 20_000)}`;
    for (const name of ['semantic', 'structural', 'embedding'] as const) {
      for (const maxTokens of [16, 64, 512]) {
        const segments = await cut(name, { text, checkpointDir, maxTokens });
        expect(segments.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text);
        for (const { start, end, tokens, tokenIds } of segments) {
          expect(tokenIds?.join()).toBe(tokenizer.encode(text.slice(start, end)).join());
          expect(tokens).toBe(tokenIds?.length);
          expect(tokens).toBeLessThanOrEqual(maxTokens);
        }
      }
    }
  });
});

describe('a client that has gone', () => {
  it.each(['semantic', 'structural', 'embedding'] as const)('ends the work of the %s segmenter', async (name) => {
    const stop = createStopFlag();
    raise(stop);
    await expect(cut(name, { text: prose(), stop })).rejects.toThrow(Abandoned);
    // Not a thousandth of the text was read.
    expect(work.ids + work.counted).toBeLessThan(2 ** 21 / 64);
  });
});
