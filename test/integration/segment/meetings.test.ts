/** Long blocks of a meeting, by the shipped segmenter: its topics are found, however unlike their lengths, and coarser blocks nest. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { createSegmenter } from '../../../src/segment/create-segmenter.js';
import type { Segmenter, SegmentOptions } from '../../../src/segment/segmenter.js';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

let service: TextService;
let segmenter: Segmenter;

beforeAll(async () => {
  service = await createTextService({ checkpointDir: directoryOf('qwen2') });
  segmenter = await createSegmenter('semantic', { textService: service, modelDir: `${PACKAGE_DIR}models/segmenter` });
});

afterAll(() => service.close());

/** Turns of each item on the agenda: some are three times as long as others. */
const TURNS = [180, 60, 150, 90, 170, 70] as const;
const ITEMS = [
  'roof slates gutter leak mason scaffold attic beam',
  'choir organ tenor hymn rehearsal Easter soprano psalter',
  'budget invoice auditor deficit ledger subsidy payroll grant',
  'orchard cider apple pruning harvest beehive press barrel',
  'website server password banner newsletter archive domain backup',
  'nursery toddler playground sandpit crayon lullaby nap snack',
] as const;
const NAMES = ['Chair', 'Anna', 'Ben', 'Carla', 'Dev', 'Eva', 'Finn'] as const;

/** Each item has somebody who says most of it; the chair hands over. */
function meeting(): { text: string; borders: number[] } {
  const borders: number[] = [];
  let text = '';
  for (const [item, words] of ITEMS.entries()) {
    if (item > 0) borders.push(text.length);
    const things = words.split(' ');
    const reporter = NAMES[1 + item] as string;
    text += `Chair: Okay, thank you. So let's move on to the next item, the ${things[0]}.\n`;
    for (let turn = 1; turn < (TURNS[item] as number); turn += 1) {
      const thing = (step: number) => things[(turn * 3 + step * 5) % things.length];
      const name = turn % 3 === 2 ? NAMES[1 + ((item + turn) % 6)] : reporter;
      text += `${name}: Well, the ${thing(0)} ${turn % 2 ? 'needs' : 'is beside'} the ${thing(1)}, and then the ${thing(2)}.\n`;
    }
  }
  return { text, borders };
}

async function endsOf(text: string, options: SegmentOptions): Promise<number[]> {
  return (await segmenter.segment(text, options)).map(({ end }) => end);
}

describe('a long meeting', () => {
  it('is cut where another topic begins, however unlike the lengths of topics', async () => {
    const { text, borders } = meeting();
    const targetTokens = Math.round((await service.count(text)) / ITEMS.length);
    const ends = new Set(await endsOf(text, { targetTokens, minTokens: 1, maxTokens: 32_768 }));
    // People mark the chair's handing over as the end of the old topic as often as the beginning of the new one.
    const found = borders.filter((border) => ends.has(border) || ends.has(text.indexOf('\n', border) + 1));
    expect(found.length).toBeGreaterThanOrEqual(4);
    expect(ends.size).toBeLessThanOrEqual(1.25 * ITEMS.length);
  });

  it('has coarser boundaries among its finer ones, from turns to topics', async () => {
    const { text } = meeting();
    let finer: Set<number> | undefined;
    for (const granularity of [0, 0.25, 0.5, 0.7, 0.8, 0.9, 1]) {
      const ends = await endsOf(text, { granularity, maxTokens: 8192 });
      for (const end of finer ? ends : []) expect(finer?.has(end)).toBe(true);
      finer = new Set(ends);
    }
    expect(finer?.size).toBeLessThan(2 * ITEMS.length);
  });
});
