/** How the page names what happened, reads streams, and keeps its documents in order. */
import { describe, expect, test } from 'vitest';
import { DocumentList, totals } from '../../../../src/server/playground/page/document-list.js';
import { eventData } from '../../../../src/server/playground/page/event-lines.js';
import { computedTokens, labelOf, type Run, verdict } from '../../../../src/server/playground/page/runs.js';
import type { Report, ReportBlock } from '../../../../src/server/playground/page/wire.js';
import { beginning, milliseconds, strengthShown, times } from '../../../../src/server/playground/page/words.js';

const report = (origins: ReportBlock['origin'][], attention: Report['attention'] = 'block'): Report => ({
  attention,
  blocks: origins.map((origin) => ({ hash: '', tokens: 10, origin, kind: 'document' })),
  timings: { ttft_ms: 1, total_ms: 2 },
});
const run = (fields: Partial<Run>): Run => ({
  label: '',
  order: [],
  state: 'done',
  text: 'yes',
  body: {} as Run['body'],
  ...fields,
});

describe('a run is called', () => {
  test.each([
    ['Cold', report(['computed', 'computed']), []],
    ['Partly cached', report(['pool', 'computed']), []],
    ['Cached', report(['pool', 'lmdb']), []],
    ['Cached', report(['pool', 'pool']), [run({ order: [1, 2] })]],
    ['Cached, reordered', report(['pool', 'pool']), [run({ order: [2, 1] })]],
    ['Cached', report(['pool', 'pool']), [run({ order: [2, 1] }), run({ order: [1, 2] })]],
    ['Cached', report(['pool', 'pool']), [run({ order: [2, 1], state: 'failed' })]],
    ['Full attention', report(['computed'], 'full'), []],
    ['Without documents', report([]), []],
  ])('%s', (label, each, earlier) => {
    expect(labelOf(each, [1, 2], earlier)).toBe(label);
  });

  test('without documents where only the template has blocks', () => {
    const { blocks, ...rest } = report(['computed']);
    expect(labelOf({ ...rest, blocks: blocks.map((block) => ({ ...block, kind: 'template' })) }, [], [])).toBe(
      'Without documents',
    );
  });
});

describe('the verdict', () => {
  const [cold, cached, reordered, full] = [900, 100, 100, 1000].map((ttftMs) => run({ ttftMs })) as [
    Run,
    Run,
    Run,
    Run,
  ];

  test('says how much sooner the first token came, and whether the answer stayed', () => {
    expect(verdict(cold, cached, reordered, full)).toBe(
      'In another order the first token came 9.0 times sooner than cold and 10 times sooner than under full ' +
        'attention. Cold, cached and reordered blocks gave the same answer.',
    );
    expect(verdict(cold, { ...cached, text: 'no' }, reordered, full)).toMatch(/gave different answers\.$/);
    expect(verdict(cold, cached, { ...reordered, text: 'no' }, full)).toMatch(
      /same answer, the other order another one\.$/,
    );
  });

  test('claims no gain that is not there, and says nothing of runs that failed', () => {
    expect(verdict({ ...cold, ttftMs: 90 }, cached, reordered, { ...full, ttftMs: 100 })).toMatch(/no sooner/);
    expect(verdict(cold, { ...cached, state: 'failed' }, reordered, full)).toBeUndefined();
  });

  test('counts tokens as the server does', () => {
    const usage = { prompt_tokens: 1530, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 1118 } };
    expect(computedTokens(usage)).toBe('412 of 1,530 prompt tokens computed');
  });
});

test('events are read whole, however the stream is cut', async () => {
  const text = ': keep-alive\n\ndata: {"é": 1}\n\nevent: x\ndata: a\ndata: b\n\ndata: [DONE]\n\n';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 3, 7, 1000]) {
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    const found: string[] = [];
    for await (const data of eventData(stream)) found.push(data);
    expect(found).toEqual(['{"é": 1}', 'a\nb', '[DONE]']);
  }
});

describe('the list of documents', () => {
  const three = () => {
    const list = new DocumentList();
    list.add(['a', 'b', 'c'].map((name) => ({ name, text: name })));
    const names = () => list.all.map(({ name }) => name).join('');
    return { list, names };
  };

  test.each([
    [0, 2, 'bca'],
    [0, 99, 'bca'],
    [2, 0, 'cab'],
    [2, -1, 'cab'],
    [1, 1, 'abc'],
    [7, 0, 'abc'],
  ])('moves %i to %i', (id, to, order) => {
    const { list, names } = three();
    list.move(id, to);
    expect(names()).toBe(order);
  });

  test('keeps the blocks of a cut that succeeded when the next one fails, and sums what is cached', () => {
    const { list } = three();
    const block = { start: 0, end: 1, tokens: 5, boundary_score: 1, tiers: [] };
    list.setCut(0, { blocks: [block, { ...block, tiers: ['lmdb'] }] });
    list.setCut(0, { error: 'no' });
    list.setCut(9, { error: 'of a document that is gone' });
    expect(list.all[0]).toMatchObject({ error: 'no', blocks: [{}, {}] });
    expect(totals(list.all)).toEqual({ documents: 3, blocks: 2, tokens: 10, cachedBlocks: 1, cachedTokens: 5 });
    list.remove(0);
    expect(totals(list.all)).toMatchObject({ documents: 2, blocks: 0 });
  });
});

test('figures are words that fit their size', () => {
  expect([5.126, 99.9, 312.4, 18_500].map(milliseconds)).toEqual(['5.1 ms', '99.9 ms', '312 ms', '18.5 s']);
  expect([1.26, 9.99, 81.4].map(times)).toEqual(['1.3 times', '10 times', '81 times']);
  expect(beginning('One  two\nthree four', 12)).toBe('One two …');
  expect(beginning('short', 12)).toBe('short');
  const shown = [0, 0.01, 0.3, 0.9, 1].map(strengthShown);
  expect(shown).toEqual([...shown].sort((a, b) => a - b));
  expect([shown[0], shown.at(-1)]).toEqual([0, 1]);
});
