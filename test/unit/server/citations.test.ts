import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { citationsOf } from '../../../src/server/generation/citations.js';
import { fakeApp } from '../../support/fake-services.js';

const BLOCKS = [
  'The kettle holds one and a half litres of water.',
  undefined,
  'The lamp is charged in two hours by a cable.',
  'The lamp may stay outside in rain and snow.',
];

describe('citationsOf', () => {
  it('names for each sentence the block that has its words, template blocks never', () => {
    const answer = 'It holds one and a half litres. You can leave it outside in rain.';
    expect(citationsOf(answer, 'How large is the kettle?', BLOCKS)).toMatchObject([
      { start: 0, end: 31, blocks: [{ block: 0 }] },
      { start: 32, end: answer.length, blocks: [{ block: 3 }] },
    ]);
  });

  it('takes the block about the question where a short answer stands in several', () => {
    const blocks = ['The fair opened in 1961 in Lima.', 'The bridge of Lund was built in 1961.', 'The mill is older.'];
    expect(citationsOf('1961', 'When was the bridge built?', blocks)[0]?.blocks[0]?.block).toBe(1);
    expect(citationsOf('1961', 'When did the fair open?', blocks)[0]?.blocks[0]?.block).toBe(0);
  });

  it('cites nothing for what no block says', () => {
    expect(citationsOf('Bananas grow on tall plants everywhere.', 'Why?', BLOCKS)).toEqual([]);
    expect(citationsOf('', 'Why?', BLOCKS)).toEqual([]);
    expect(citationsOf('Hello there.', 'Why?', [])).toEqual([]);
  });

  it('gives spans inside the answer and scores of 0 to 1, whatever the texts', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.array(fc.option(fc.string(), { nil: undefined })),
        (answer, question, blocks) => {
          let reached = 0;
          for (const { start, end, blocks: cited } of citationsOf(answer, question, blocks)) {
            expect(start).toBeGreaterThanOrEqual(reached);
            expect(end).toBeGreaterThan(start);
            reached = end;
            for (const { block, score } of cited) {
              expect(blocks[block]).toBeDefined();
              expect(score > 0 && score <= 1).toBe(true);
            }
          }
          expect(reached).toBeLessThanOrEqual(answer.length);
        },
      ),
    );
  });
});

describe('citations: true', () => {
  it('adds them to the report, plain and streamed, and only then', async () => {
    const { app } = await fakeApp();
    const ask = (fields: object) =>
      app.inject({
        method: 'POST',
        url: '/v1/chat/completions',
        payload: {
          messages: [{ role: 'user', content: 'What is the answer?' }],
          documents: ['Nothing here.', 'The answer is 42, says the book.'],
          ...fields,
        },
      });
    const cited = [{ choice: 0, start: 0, end: 17, blocks: [{ block: 1, score: 1 }] }];
    const plain = (await ask({ citations: true })).json();
    expect(plain.blockstitch.citations).toEqual(cited);
    expect(plain.blockstitch.blocks[1].document.index).toBe(1);
    const lines = (await ask({ citations: true, stream: true })).payload.trim().split('\n\n');
    expect(JSON.parse(lines.at(-2)?.replace('data: ', '') ?? '').blockstitch.citations).toEqual(cited);
    expect((await ask({})).json().blockstitch.citations).toBeUndefined();
  });
});
