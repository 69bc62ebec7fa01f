/** The shipped segmenter, through onnxruntime-node in a text thread: any text, its limits, granularity, edits, sense. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { createSegmentation } from '../../../src/documents/segmentation.js';
import { createSegmenter } from '../../../src/segment/create-segmenter.js';
import type { Segment, Segmenter, SegmentOptions } from '../../../src/segment/segmenter.js';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import { longestBlock } from '../../support/loop-blocking.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';
import { NOTATIONS, type TalkTurn } from '../../support/transcript-notations.js';

const MODEL_DIR = `${PACKAGE_DIR}models/segmenter`;
let service: TextService;
let segmenter: Segmenter;

beforeAll(async () => {
  service = await createTextService({ checkpointDir: directoryOf('qwen2') });
  segmenter = await createSegmenter('semantic', { textService: service, modelDir: MODEL_DIR });
});

afterAll(() => service.close());

async function cut(text: string, options: SegmentOptions = {}): Promise<Segment[]> {
  const segments = await segmenter.segment(text, options);
  let reached = 0;
  for (const { start, end, tokens } of segments) {
    expect(start).toBe(reached);
    expect(end).toBeGreaterThan(start);
    expect(tokens).toBeLessThanOrEqual(options.maxTokens ?? 512);
    reached = end;
  }
  expect(reached).toBe(text.length);
  return segments;
}

/** Paragraphs about two things in turn, three sentences each, and where the thing changes. */
function twoThings(changes: number): { text: string; borders: number[] } {
  const things = [
    'The baker kneads the dough, lets the bread rise and heats the oven. Flour and yeast make the loaf light. She sells warm rolls and cakes before breakfast.',
    'The telescope gathers light from distant galaxies. Astronomers measure the orbit of each planet and the mass of its star. A comet passes the observatory every century.',
    'The goalkeeper saved the penalty in the last minute. Her team won the match and the league. Supporters sang in the stadium until the referee had left.',
    'The court heard the appeal of the tenant. A judge read the contract and the statute. Counsel for the landlord asked for damages and costs.',
  ];
  const borders: number[] = [];
  let text = '';
  for (let part = 0; part < changes; part += 1) {
    if (part > 0) borders.push(text.length);
    for (const sentence of (things[part % 4] as string).split(/(?<=\.) /)) text += `${sentence}\n`;
    for (const sentence of (things[part % 4] as string).split(/(?<=\.) /).reverse()) text += `${sentence}\n`;
  }
  return { text, borders };
}

describe('the trained segmenter', () => {
  it('takes any text, covers it exactly once and keeps the maximum', async () => {
    const pieces = fc.constantFrom(
      'word ',
      'End. ',
      '\n',
      '\n\n',
      '```\nx\n```\n',
      '| a | b |\n',
      '中。',
      '😀',
      'A: hi\n',
      '\0',
    );
    const texts = fc.oneof(
      fc.array(pieces, { maxLength: 200 }).map((parts) => parts.join('')),
      fc.string({ unit: 'grapheme', maxLength: 200 }),
    );
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 16, max: 80 }), async (text, maxTokens) => {
        await cut(text.toWellFormed(), { maxTokens });
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ['10 MB of one line', 'lorem ipsum '.repeat(873_814)],
    ['2 MB without spaces', 'x'.repeat(2_000_000)],
    ['only line breaks', '\n'.repeat(2_000_000)],
    ['40,000 lines of one letter', 'a\n'.repeat(40_000)],
    ['bytes', Array.from({ length: 500_000 }, (_, at) => String.fromCharCode((at * 7919) % 256)).join('')],
    ['emoji families', '👩‍👩‍👧'.repeat(20_000)],
  ])('takes %s', { timeout: 300_000 }, async (_, text) => {
    await cut(text);
  });

  it('leaves the event loop free while it works', async () => {
    const { text } = twoThings(200);
    await cut(text);
    const { blockedMs } = await longestBlock(() => cut(`${text}once more`));
    expect(blockedMs).toBeLessThan(50);
  });

  it('finds where the subject changes', async () => {
    const { text, borders } = twoThings(24);
    const mean = (await service.count(text)) / 24;
    const segments = await cut(text, { targetTokens: Math.round(mean) });
    const ends = new Set(segments.map(({ end }) => end));
    const found = borders.filter((border) => ends.has(border)).length;
    expect(found / borders.length).toBeGreaterThan(0.75);
  });

  it('nests: coarser boundaries are among the finer ones', async () => {
    const { text } = twoThings(60);
    let finer: Set<number> | undefined;
    for (const granularity of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      const ends = (await cut(text, { granularity })).map(({ end }) => end);
      if (finer) for (const end of ends) expect(finer.has(end)).toBe(true);
      finer = new Set(ends);
    }
  });

  it.each([60, 150, 300])('follows a target of %i tokens within a quarter', async (targetTokens) => {
    const { text } = twoThings(150);
    const segments = await cut(text, { targetTokens, maxTokens: 1024 });
    const mean = segments.reduce((sum, { tokens }) => sum + tokens, 0) / segments.length;
    expect(Math.abs(mean / targetTokens - 1)).toBeLessThan(0.25);
  });

  it('moves no boundary far before text that is added at the end', async () => {
    // What a boundary can depend on: the network's context in units (here lines), then the horizon of the choice.
    const contextUnits = 400;
    const targetTokens = 60;
    const { text } = twoThings(320);
    const before = await cut(text, { targetTokens });
    const added = 'Something else follows here.\n'.concat('It goes on and on.\n'.repeat(100));
    const after = new Set((await cut(text + added, { targetTokens })).map(({ end }) => end));
    const lines = text.split('\n');
    const context = text.length - lines.slice(-contextUnits).join('\n').length;
    const tokensBehind = (end: number) =>
      before.reduce((sum, { start, tokens }) => sum + (start >= end && start < context ? tokens : 0), 0);
    const far = before.filter(({ end }) => end < context && tokensBehind(end) > 25 * targetTokens);
    expect(far.length).toBeGreaterThan(100);
    expect(far.filter(({ end }) => !after.has(end))).toEqual([]);
    // Nearly all of the nearer ones stay too.
    expect(before.filter(({ end }) => !after.has(end)).length).toBeLessThan(before.length * 0.1);
  });

  it('never cuts inside a code fence, a table row or a word', async () => {
    const fence = `\`\`\`js\n${'const x = 1;\n\n'.repeat(8)}\`\`\`\n`;
    const row = '| left cell with words | right cell with words |\n';
    const { text: prose } = twoThings(6);
    const text = `${prose}\n${fence}\n${row.repeat(20)}\n${prose}`;
    const fenceStart = text.indexOf(fence);
    for (const { end } of (await cut(text, { targetTokens: 60, maxTokens: 256 })).slice(0, -1)) {
      expect(end > fenceStart && end < fenceStart + fence.length).toBe(false);
      expect(/\w\w/.test(text.slice(end - 1, end + 1))).toBe(false);
      const line = text.slice(text.lastIndexOf('\n', end - 1) + 1, text.indexOf('\n', end));
      if (line.startsWith('|')) expect(text[end - 1]).toBe('\n');
    }
  });
});

/** What is said of several things, by two people in turn. */
function talk(changes: number): TalkTurn[] {
  return twoThings(changes)
    .text.trimEnd()
    .split('\n')
    .map((text, at) => ({ speaker: at % 2 === 0 ? 'Alice Smith' : 'Bob Jones', text: text.trim() }));
}

describe('a prompt that holds passages', () => {
  const passages = [
    'The baker kneads the dough, lets the bread rise and heats the oven. Flour and yeast make the loaf light. She sells warm rolls and cakes before breakfast. On Sundays the shop is shut, and the oven cools for the only time in the week. Her grandfather bought the mill beside the river, and the stones still turn when the water is high. Rye comes from the fields above the town, wheat by train. Apprentices begin at three in the morning and sleep in the afternoon.',
    'The telescope gathers light from distant galaxies. Astronomers measure the orbit of each planet and the mass of its star. A comet passes the observatory every century. Its mirror was ground by hand over eleven years. The dome opens towards the south, where no town lights the sky. Spectra of faint stars are taken in winter, when the air is dry. Students read the instruments from a heated room below the dome.',
    'The goalkeeper saved the penalty in the last minute. Her team won the match and the league. Supporters sang in the stadium until the referee had left. The cup stands in the town hall now, behind glass. She had joined the club at the age of nine, as a striker. Two broken fingers made her miss the autumn. The coach called the save the best that he had seen in thirty years on the bench.',
    'The court heard the appeal of the tenant. A judge read the contract and the statute. Counsel for the landlord asked for damages and costs. The ruling came in May, and nobody appealed. Rent had been paid into an escrow account since the roof began to leak. An expert put the loss at a third of the value. The statute of limitations was argued at length, but the panel found that it had not run.',
    'The harbour was built by the third king. It stood for six hundred years. Then the storm came and broke the outer wall. Fishermen land their boats on the beach, and the quay is a garden. Stones of the old mole lie under the sand and show at spring tide. Divers found anchors there, and a bronze bell without a clapper. The customs house is a school, and its cellar floods each November.',
  ];
  const prompt = (order: readonly number[]) =>
    `Answer the question from the numbered passages. Cite them.\n\n${order
      .map((passage, at) => `[${at + 1}] ${passages[passage]}\n\n`)
      .join('')}Question: who won the league?`;

  it.each([200, 60])('has each passage cut alike in every order at a target of %i tokens', async (targetTokens) => {
    const seen = new Map<number, string>();
    for (const order of [
      [0, 1, 2, 3, 4],
      [4, 2, 0, 1, 3],
      [3, 1, 4, 0, 2],
    ]) {
      const text = prompt(order);
      const blocks = (await cut(text, { targetTokens })).map(({ start, end }) => text.slice(start, end));
      for (const [at, passage] of order.entries()) {
        const first = blocks.findIndex((block) => block.startsWith(`[${at + 1}] `));
        const next = blocks.findIndex((block) => block.startsWith(at + 1 < order.length ? `[${at + 2}] ` : 'Question'));
        expect(first, `passage ${passage}`).toBeGreaterThan(0);
        const mine = JSON.stringify(blocks.slice(first, next)).replace(`[${at + 1}] `, '');
        expect(seen.get(passage) ?? mine).toBe(mine);
        seen.set(passage, mine);
      }
    }
  });

  it('has blocks that nest at every granularity', async () => {
    const text = prompt([0, 1, 2, 3, 4]);
    let finer: Set<number> | undefined;
    for (const granularity of [0, 0.3, 0.6, 1]) {
      const ends = (await cut(text, { granularity })).map(({ end }) => end);
      if (finer) for (const end of ends) expect(finer.has(end)).toBe(true);
      finer = new Set(ends);
    }
  });
});

describe('equal talk', () => {
  const options = { targetTokens: 80, maxTokens: 2048 };

  it('is cut before the same turns in every notation', async () => {
    const turns = talk(12);
    let first: number[] | undefined;
    for (const [name, write] of Object.entries(NOTATIONS)) {
      const { text, starts } = write(turns);
      const found = (await cut(text, options)).slice(1).map(({ start }) => starts.indexOf(start));
      expect(found, name).not.toContain(-1);
      expect(found.length, name).toBeGreaterThan(6);
      first ??= found;
      expect(found, name).toEqual(first);
    }
  });

  it('is cut alike with line ends of Windows, a byte order mark, and tags around its paragraphs', async () => {
    const { text } = twoThings(12);
    const lines = text.trimEnd().split('\n');
    const forms = {
      plain: lines.map((line) => `${line}\n`),
      windows: lines.map((line) => `${line}\r\n`),
      'byte order mark': lines.map((line, at) => `${at === 0 ? '\uFEFF' : ''}${line}\n`),
      tags: lines.map((line) => `<div class="x">${line.replace(/(\w+)/, '<b>$1</b>')}</div>\n`),
      emphasis: lines.map((line) => `${line.replace(/(\w+)/, '**$1**')}\n`),
    };
    let first: number[] | undefined;
    for (const [name, form] of Object.entries(forms)) {
      const ends: number[] = [];
      for (const line of form) ends.push((ends.at(-1) ?? 0) + line.length);
      const found = (await cut(form.join(''), options)).map(({ end }) => ends.indexOf(end));
      first ??= found;
      expect(found, name).toEqual(first);
    }
  });

  it('is cut nearly alike where its paragraphs are wrapped at a margin', async () => {
    const paragraphs = twoThings(40)
      .text.trimEnd()
      .split('\n')
      .reduce<string[]>((some, line, at) => {
        if (at % 3 === 0) some.push(line.trim());
        else some[some.length - 1] += ` ${line.trim()}`;
        return some;
      }, []);
    const words = (text: string) => text.split(/\s+/).filter(Boolean).length;
    const cutWords = async (text: string) =>
      (await cut(text, { targetTokens: 100 })).slice(0, -1).map(({ end }) => words(text.slice(0, end)));
    const plain = await cutWords(paragraphs.join('\n\n'));
    // A sentence that ends where a line does can make a unit of its own in a short paragraph.
    for (const width of [60, 72, 90]) {
      const wrapped = await cutWords(paragraphs.map((paragraph) => wrap(paragraph, width)).join('\n\n'));
      const same = plain.filter((at) => wrapped.includes(at)).length;
      expect(same / plain.length, String(width)).toBeGreaterThan(0.8);
      expect(same / wrapped.length, String(width)).toBeGreaterThan(0.8);
    }
  });
});

function wrap(paragraph: string, width: number): string {
  const lines = [''];
  for (const word of paragraph.split(' ')) {
    const last = lines.at(-1) as string;
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join('\n');
}

describe('the default segmenter', () => {
  const defaults = {
    segmenter: 'auto',
    sentenceEncoder: '',
    targetTokens: 200,
    maxBlockTokens: 512,
    maxBlocks: 100_000,
  } as const;

  it('is the trained one if its files are there', async () => {
    const notices: string[] = [];
    const segment = createSegmentation(service, { ...defaults, segmenterDir: MODEL_DIR }, (line) => notices.push(line));
    const { text } = twoThings(12);
    expect(await segment(text, {})).toEqual(await segment(text, { segmenter: 'semantic' }));
    expect(notices).toEqual([]);
  });

  it('is the structural one, with a line in the log, if they are missing', async () => {
    const notices: string[] = [];
    const segment = createSegmentation(service, { ...defaults, segmenterDir: '/nowhere' }, (line) =>
      notices.push(line),
    );
    const { text } = twoThings(12);
    expect(await segment(text, {})).toEqual(await segment(text, { segmenter: 'structural' }));
    expect(notices).toEqual([expect.stringContaining('/nowhere')]);
    await expect(segment(text, { segmenter: 'semantic' })).rejects.toMatchObject({
      code: 'segmenter_unusable',
      outside: expect.not.stringContaining('/nowhere'),
    });
  });
});
