import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GenerateRequest, RepairChoice } from '../../../../src/engine/engine.js';
import { buildRequestSpec, pagesNeeded } from '../../../../src/engine/host/request-spec.js';
import { chooseDeviating, chooseFirst, firstPages, repairBudget } from '../../../../src/engine/repair/repair-plan.js';
import { block, CoreBench, handleOf, request, SAMPLING, tokensOf } from '../../../support/core-bench.js';
import { referenceTokens } from '../../../support/paper-model.js';

const repair = (share: number, by: RepairChoice = 'first') => ({ share, by });

describe('the pages that are repaired', () => {
  it('are never those of the first block, which sees the same in the prompt as alone', () => {
    expect(firstPages([64, 64], 0.5, 16)).toEqual([0, 2]);
    expect(repairBudget([64], 0.9, 16)).toBe(0);
  });

  it('begin each block, and short blocks take turns', () => {
    expect(firstPages([64, 256, 256, 256], 0.15, 16)).toEqual([0, 3, 2, 3]);
    expect(firstPages([50, 50, 50, 50, 50, 50, 50], 0.15, 16)).toEqual([0, 1, 0, 1, 0, 1, 0]);
    expect(chooseFirst([20, 40], 0.5, 16).map((flags) => [...flags])).toEqual([
      [0, 0],
      [1, 1, 0],
    ]);
  });

  it('are those of the highest deviation where it decides, never of the first block', () => {
    const deviations = [[9, 9], [1, 5, 2], [4]].map((sums) => Float64Array.from(sums));
    expect(chooseDeviating(deviations, 2).map((flags) => [...flags])).toEqual([[0, 0], [0, 1, 0], [1]]);
  });

  it('are the share of tokens, in whole pages rounded up over the prompt', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 20 }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        (lengths, share) => {
          const later = lengths.slice(1).reduce((sum, length) => sum + length, 0);
          const pages = lengths.slice(1).reduce((sum, length) => sum + Math.ceil(length / 16), 0);
          expect(repairBudget(lengths, share, 16)).toBe(
            Math.min(pages, Math.max(later > 0 ? 1 : 0, Math.ceil((share * later) / 16 - 1e-9))),
          );
        },
      ),
    );
  });
});

describe('a repaired request', () => {
  const blocks = [block(1, 7), block(2, 9), block(3, 13), block(1, 7)];

  it('gives the tokens that its plan alone determines, other than without repair', async () => {
    const bench = new CoreBench();
    const specs = [0.2, 0.5, 0.99].map((share) => request(`r${share}`, blocks, { repair: repair(share) }));
    bench.submit(...specs);
    await bench.drain();
    for (const spec of specs) expect(bench.tokensOf(spec)).toEqual(referenceTokens(spec));
    const plain = referenceTokens(request('plain', blocks));
    for (const spec of specs) expect(bench.tokensOf(spec)).not.toEqual(plain);
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  it('computes the repaired tokens and the final block, and says which they were', async () => {
    const bench = new CoreBench();
    bench.submit(request('cold', blocks, { repair: repair(0.3) }));
    await bench.drain();
    const rows = bench.model.rowsRun;
    const warm = request('warm', blocks, { repair: repair(0.3), sampling: { ...SAMPLING, maxTokens: 1 } });
    bench.submit(warm);
    await bench.drain();
    const repaired = (bench.prefilled('warm')?.blocks ?? []).map((report) => report.repairedTokens ?? 0);
    expect(repaired).toEqual([0, 4, 4, 4]);
    expect(bench.model.rowsRun - rows).toBe(12 + warm.tailTokenIds.length);
    expect(bench.prefilled('warm')?.cachedTokens).toBe(3 + 36 - 12);
    expect(bench.counters.get('repairedTokens')).toBe(24);
    expect(bench.tokens('warm')[0]).toBe(bench.tokens('cold')[0]);
  });

  it('chooses by deviation from its plan alone, with any chunks', async () => {
    const spec = request('a', blocks, { repair: repair(0.2, 'deviation') });
    expect(referenceTokens(spec)).not.toEqual(referenceTokens({ ...spec, repair: repair(0.2) }));
    for (const maxBatchTokens of [4, 7, 64]) {
      const bench = new CoreBench({ policy: { maxBatchTokens } });
      bench.submit(spec);
      await bench.drain();
      expect(bench.tokens('a')).toEqual(referenceTokens(spec));
    }
  });

  it('leaves the shared blocks as they were', async () => {
    const bench = new CoreBench();
    bench.submit(request('repaired', blocks, { repair: repair(0.6) }));
    await bench.drain();
    const plain = request('plain', blocks);
    bench.submit(plain);
    await bench.drain();
    expect(bench.prefilled('plain')?.blocks.map(({ origin }) => origin)).toEqual(['pool', 'pool', 'pool', 'pool']);
    expect(bench.tokens('plain')).toEqual(referenceTokens(plain));
  });

  it('takes private pages into account when it asks to be admitted', async () => {
    const spec = request('a', [block(1, 16), block(2, 16)], { repair: repair(0.5) });
    const plain = request('a', [block(1, 16), block(2, 16)]);
    expect(pagesNeeded(spec, 4) - pagesNeeded(plain, 4)).toBe(2);
    const bench = new CoreBench({ pages: pagesNeeded(spec, 4) });
    bench.submit(spec);
    await bench.drain();
    expect(bench.tokens('a')).toEqual(referenceTokens(spec));
  });

  it('gives its private pages back when it is cancelled between two of its runs', async () => {
    const bench = new CoreBench({ policy: { maxBatchTokens: 4 } });
    bench.submit(request('warm-up', blocks));
    await bench.drain();
    bench.submit(request('a', blocks, { repair: repair(0.5) }));
    await bench.turn();
    await bench.turn();
    expect(bench.freePages + bench.cachedPages).toBeLessThan(bench.pages);
    bench.core.handle({ type: 'cancel', handle: handleOf('a') });
    await bench.turn();
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  it('fails with the step that its runs are in, and frees its pages', async () => {
    const bench = new CoreBench();
    bench.submit(request('warm-up', blocks));
    await bench.drain();
    bench.submit(request('a', blocks, { repair: repair(0.5) }));
    bench.model.poison = tokensOf(2, 9)[0];
    await bench.drain();
    expect(bench.last('a')).toMatchObject({ type: 'failed' });
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  it('gives the same with anything cached, in any chunks, beside any requests', async () => {
    const drawn = fc.record({
      blocks: fc.array(fc.record({ name: fc.nat(3), length: fc.constantFrom(1, 4, 8, 13) }), { maxLength: 5 }),
      share: fc.constantFrom(0, 0.1, 0.3, 0.5, 0.8, 0.99),
      by: fc.constantFrom<RepairChoice>('first', 'deviation'),
      tail: fc.integer({ min: 1, max: 9 }),
      maxTokens: fc.integer({ min: 1, max: 12 }),
      turnsBefore: fc.nat(6),
      cancelled: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(drawn, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 36, max: 80 }),
        fc.integer({ min: 4, max: 40 }),
        fc.constantFrom(1, 2, 4),
        async (draws, pages, maxBatchTokens, rowMultiple) => {
          const bench = new CoreBench({ pages, rowMultiple, policy: { maxBatchTokens, maxRunning: 3 } });
          const specs = draws.map((draw, index) =>
            request(
              `r${index}`,
              draw.blocks.map(({ name, length }) => block(name, length)),
              {
                ...(draw.share === 0 ? {} : { repair: repair(draw.share, draw.by) }),
                tailTokenIds: tokensOf(draw.tail + 50, draw.tail),
                sampling: { ...SAMPLING, maxTokens: draw.maxTokens },
              },
            ),
          );
          for (const [index, spec] of specs.entries()) {
            const { turnsBefore, cancelled } = draws[index] as (typeof draws)[number];
            bench.submit(spec);
            for (let turn = 0; turn < turnsBefore; turn++) {
              await bench.turn();
              bench.answer();
            }
            if (cancelled) bench.core.handle({ type: 'cancel', handle: spec.handle });
          }
          await bench.drain();
          for (const [index, spec] of specs.entries()) {
            const expected = referenceTokens(spec);
            const tokens = bench.tokensOf(spec);
            if (draws[index]?.cancelled) expect(expected.slice(0, tokens.length)).toEqual(tokens);
            else expect(tokens).toEqual(expected);
          }
          expect(bench.core.idle).toBe(true);
          expect(bench.freePages + bench.cachedPages).toBe(pages);
        },
      ),
      { numRuns: 80 },
    );
  });
});

describe('shares at the ends', () => {
  const plan: GenerateRequest['plan'] = {
    attention: 'block',
    sinkTokenIds: Int32Array.of(1, 2),
    blocks: [1, 2].map((name) => ({ kind: 'document', tokenIds: tokensOf(name, 8) })),
    finalTokenIds: tokensOf(3, 4),
  };
  const specOf = (share: number, attention: 'block' | 'full' = 'block') =>
    buildRequestSpec(
      1,
      { plan: { ...plan, attention }, repair: repair(share), sampling: SAMPLING },
      (tokenIds) => tokenIds.join('.'),
      0,
      1,
    );

  it('0 is plain block attention', () => {
    expect(specOf(0)).toMatchObject({ attention: 'block' });
    expect(specOf(0).repair).toBeUndefined();
  });

  it('1 is the very path of full attention', () => {
    expect(specOf(1)).toEqual(specOf(0, 'full'));
    expect(specOf(1).attention).toBe('full');
  });
});
