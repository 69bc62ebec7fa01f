/** What `blockstitch eval` computes: scores as training's, intervals, rows that are wrong, figures and the plot. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { contains, estimate, mean, median, normalized, wordF1 } from '../../../src/cli/evaluation/answer-scores.js';
import type { AskedAnswer, Mode } from '../../../src/cli/evaluation/asked-modes.js';
import { summarize, summaryTable } from '../../../src/cli/evaluation/mode-summaries.js';
import { qualityPlot } from '../../../src/cli/evaluation/quality-plot.js';
import { inOrder, readQuestions } from '../../../src/cli/evaluation/question-rows.js';

const root = mkdtempSync(join(tmpdir(), 'blockstitch-evaluation-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('scores', () => {
  // The values of training/blockstitch_training/evaluation/answer_scores.py.
  test.each<[string, string[], string, number, number]>([
    ['The answer is: 1961.', ['1961', '1945'], 'answer is 1961', 1, 0.5],
    ['Paris, the capital', ['paris'], 'paris capital', 1, 2 / 3],
    ['A theatre', ['the Theatre'], 'theatre', 1, 1],
    ['an-the a_an', ['x'], '', 0, 0],
    ['Étoile – l’an 2000', ['étoile'], 'étoile – l’ 2000', 1, 0.4],
    ['', ['x'], '', 0, 0],
    ['red red blue', ['red blue blue'], 'red red blue', 0, 2 / 3],
    ['Not in the documents.', ['no'], 'not in documents', 0, 0],
    ['In 1995.', ['5'], 'in 1995', 0, 0],
    ['The answer is A.', ['A'], 'answer is', 1, 0],
    ['B', ['A'], 'b', 0, 0],
    ['3000 people', ['3,000'], '3000 people', 1, 0],
    ['the US', ['U.S.'], 'us', 1, 0],
    ['New York', ['New-York'], 'new york', 1, 1],
    ['anything', ['', '?!'], 'anything', 0, 0],
  ])('%j against %j', (answer, accepted, bare, found, f1) => {
    expect([normalized(answer), contains(answer, accepted)]).toEqual([bare, found]);
    expect(wordF1(answer, accepted)).toBeCloseTo(f1, 12);
  });

  test('an interval holds the value, is the same each time, and is a point if all rows are alike', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 40 }), (values) => {
        const { value, low, high } = estimate(values, mean);
        expect(low).toBeLessThanOrEqual(value + 1e-9);
        expect(high).toBeGreaterThanOrEqual(value - 1e-9);
        expect(estimate(values, mean)).toEqual({ value, low, high });
      }),
      { numRuns: 30 },
    );
    expect(estimate([0.5, 0.5, 0.5], median)).toEqual({ value: 0.5, low: 0.5, high: 0.5 });
    expect(median([3, 1, 2, 10])).toBe(2.5);
  });
});

describe('a file of questions', () => {
  const good = { question: 'Why?', answers: ['so'], documents: [{ title: 'T', text: 'It is so.' }] };
  const put = (...rows: unknown[]) => {
    const path = join(root, 'rows.jsonl');
    writeFileSync(path, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'));
    return path;
  };

  test('is read from the top, blank lines left out, ids given where there are none', async () => {
    const path = put({ ...good, id: 7, gold: [0] }, '', { ...good, documents: [{ title: null, text: 'x' }] }, good);
    expect(await readQuestions(path, 2)).toEqual({
      name: 'rows',
      rows: [
        { id: '7', ...good, gold: [0] },
        { id: '3', ...good, documents: [{ text: 'x' }] },
      ],
    });
  });

  test.each<[unknown, string]>([
    ['{"question"', 'line 1 is not JSON'],
    ['[]', 'line 1 is not a JSON object'],
    [{ ...good, question: ' ' }, 'line 1: question is " ", not a text'],
    [{ ...good, answers: [] }, 'line 1: answers is [], not a list of at least one text'],
    [{ ...good, answers: 'so' }, 'answers is "so"'],
    [{ ...good, gold: [1] }, 'gold is [1], not a list of places in documents'],
    [{ ...good, documents: undefined }, 'documents is missing, not a list'],
    [{ ...good, documents: [{}] }, 'documents[0].text is missing, not a text'],
    [{ ...good, documents: ['x', ' '] }, 'documents[1] is " ", not a text'],
    [{ ...good, documents: [5] }, 'documents[0] is 5, not a text or an object'],
    [{ ...good, documents: [{ text: 'x', title: 5 }] }, 'documents[0].title is 5'],
    [{ ...good, id: [] }, 'id is [], not a text or a number'],
    ['', 'holds no row'],
  ])('with %j is refused by line and field', async (row, words) => {
    await expect(readQuestions(put(row))).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(words),
    });
  });

  test('may have bare texts as documents, as a request may', async () => {
    const { rows } = await readQuestions(put({ ...good, documents: ['One.', { title: 'T', text: 'Two.' }] }));
    expect(rows[0]?.documents).toEqual([{ text: 'One.' }, { title: 'T', text: 'Two.' }]);
  });

  test('with an id twice, or that is not there, is refused', async () => {
    await expect(readQuestions(put({ ...good, id: 'a' }, { ...good, id: 'a' }))).rejects.toThrow(
      'the id "a" is there twice',
    );
    await expect(readQuestions(join(root, 'none.jsonl'))).rejects.toThrow('cannot be read');
  });
});

test('another order of the documents has them all, keeps the right ones named, and is always the same', () => {
  const texts = (row: { documents: { text: string }[] }) => row.documents.map(({ text }) => text);
  fc.assert(
    fc.property(fc.nat(12), fc.integer({ min: 0, max: 50 }), fc.nat(11), (count, order, gold) => {
      const documents = Array.from({ length: count }, (_, at) => ({ text: `document ${at}` }));
      const named = gold < count ? { gold: [gold] } : {};
      const row = { id: 'a', question: 'Why?', answers: ['so'], documents, ...named };
      const turned = inOrder(row, order);
      expect(texts(turned).sort()).toEqual(texts(row).sort());
      expect(turned.gold?.map((place) => turned.documents[place]?.text)).toEqual(
        row.gold?.map((at) => `document ${at}`),
      );
      expect(inOrder(row, order)).toEqual(turned);
      if (order === 0) expect(turned).toBe(row);
    }),
  );
  const documents = Array.from({ length: 8 }, (_, at) => ({ text: `${at}` }));
  const orders = [0, 1, 2, 3, 4].map((order) =>
    texts(inOrder({ id: 'a', question: 'q', answers: ['a'], documents }, order)),
  );
  expect(new Set(orders.map((order) => order.join())).size).toBe(5);
});

describe('a summary', () => {
  const row = (id: string) => ({ id, question: 'Why?', answers: ['rain'], documents: [] });
  const file = { name: 'rows', rows: [row('a'), row('b'), row('c')] };
  const answer = (id: string, mode: Mode, text: string, rest: Partial<AskedAnswer> = {}): AskedAnswer => {
    const cost = { ttftMs: mode === 'full' ? 1000 : 10, promptTokens: 100, computedTokens: mode === 'full' ? 100 : 5 };
    return { data: 'rows', row: id, mode, text, ...cost, ...rest };
  };
  const answers = [
    answer('a', 'full', 'Because of rain'),
    answer('a', 'block', 'because of Rain.', { cold: { ttftMs: 900, computedTokens: 100 } }),
    answer('b', 'full', 'rain'),
    answer('b', 'block', 'sun'),
    answer('c', 'full', '', { skipped: 'too long' }),
    answer('c', 'block', '', { skipped: 'too long' }),
  ];

  test('counts rows that every mode answered, beside full attention', () => {
    const { rows, skipped, skippedReason, modes } = summarize(file, answers, ['full', 'block']);
    expect([rows, skipped, skippedReason]).toEqual([2, 1, 'too long']);
    const [full, block] = modes;
    expect([full?.contains.value, block?.contains.value, block?.containsChange?.value]).toEqual([1, 0.5, -0.5]);
    expect([block?.agreement?.value, block?.same?.value]).toEqual([0.5, 0.5]);
    expect([full?.coldTtftMs, block?.coldTtftMs?.value, block?.ttftMs.value]).toEqual([undefined, 900, 10]);
    expect([full?.computedTokens.value, block?.computedTokens.value]).toEqual([100, 5]);
  });

  test('is a table, in text and in Markdown, and a plot with a point for each mode', () => {
    const summary = summarize(file, answers, ['full', 'block']);
    expect(summaryTable(summary)).toMatch(
      /^rows: 2 rows, 1 left out \(too long\)\nmode +contains.*\nfull +100\.0%.*\nblock +50\.0%.*-50\.0%/,
    );
    expect(summaryTable(summary, true)).toContain('| block | 50.0% [0.0, 100.0] |');
    const svg = qualityPlot([summary], 'a <model> & more');
    expect(svg.match(/<circle/g)).toHaveLength(2);
    expect(svg).toContain('a &lt;model&gt; &amp; more');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  test('tells how often the document that answers is cited, where rows name one', () => {
    const documents = [{ text: 'The mill is old.' }, { title: 'Fair', text: 'The fair opened in 1961.' }];
    const row = { id: 'a', question: 'When did the fair open?', answers: ['1961'], documents };
    const answered = [answer('a', 'full', 'It opened in 1961.')];
    const named = summarize({ name: 'rows', rows: [{ ...row, gold: [1] }] }, answered, ['full']);
    expect(named.modes[0]?.goldCited?.value).toBe(1);
    expect(summaryTable(named)).toMatch(/gold cited/);
    const other = summarize({ name: 'rows', rows: [{ ...row, gold: [0] }] }, answered, ['full']);
    expect(other.modes[0]?.goldCited?.value).toBe(0);
    const unnamed = summarize({ name: 'rows', rows: [row] }, answered, ['full']);
    expect([unnamed.modes[0]?.goldCited, summaryTable(unnamed).includes('gold')]).toEqual([undefined, false]);
  });

  test('of several orders keeps the figures of the own one, and tells what the order changes', () => {
    const block = (id: string, texts: string[]) =>
      texts.map((text, order) => answer(id, 'block', text, order === 0 ? {} : { order }));
    const asked = [...block('a', ['rain', 'Rain.', 'rain']), ...block('b', ['sun', 'rain', 'sun'])];
    const summary = summarize({ ...file, rows: file.rows.slice(0, 2) }, asked, ['block']);
    expect([summary.rows, summary.modes[0]?.contains.value]).toEqual([2, 0.5]);
    expect(summary.orders).toEqual([{ mode: 'block', contains: [0.5, 1, 0.5], spread: 0.5, same: 0.5 }]);
    const line = 'block  50.0%, 100.0%, 50.0%  50.0 points  50.0%';
    expect(summaryTable(summary).replace(/ {2,}/g, '  ')).toContain(line);
    expect(summaryTable(summary, true)).toContain('| block | 50.0%, 100.0%, 50.0% | 50.0 points | 50.0% |');
  });

  test('of rows that nobody could answer is empty', () => {
    const none = summarize(file, answers.slice(4), ['full', 'block']);
    expect([none.rows, none.modes]).toEqual([0, []]);
    expect(qualityPlot([none], 'm')).toMatch(/^<svg[\s\S]*<\/svg>\n$/);
  });
});
