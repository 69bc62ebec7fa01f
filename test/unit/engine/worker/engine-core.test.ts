import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { block, CoreBench, handleOf, POLICY, request, SAMPLING, SINKS, tokensOf } from '../../../support/core-bench.js';
import { referenceTokens } from '../../../support/paper-model.js';

describe('a stitched request', () => {
  it('gives the tokens that its plan alone determines', async () => {
    const bench = new CoreBench();
    const spec = request('a', [block(1, 7), block(2, 9), block(1, 7)]);
    bench.submit(spec);
    await bench.drain();
    expect(bench.tokens('a')).toEqual(referenceTokens(spec));
    expect(bench.last('a')).toEqual({ type: 'finish', reason: 'length', generatedTokens: 8 });
  });

  it('hits every block when they come back in another order, and prefills only the final block', async () => {
    const bench = new CoreBench();
    bench.submit(request('cold', [block(1, 7), block(2, 9), block(3, 5)]));
    await bench.drain();
    expect(bench.prefilled('cold')?.blocks.map(({ origin }) => origin)).toEqual(['computed', 'computed', 'computed']);
    const rowsBefore = bench.model.rowsRun;
    const again = request('again', [block(3, 5), block(1, 7), block(2, 9)], {
      sampling: { ...SAMPLING, maxTokens: 1 },
    });
    bench.submit(again);
    await bench.drain();
    expect(bench.prefilled('again')?.blocks.map(({ origin }) => origin)).toEqual(['pool', 'pool', 'pool']);
    expect(bench.prefilled('again')?.cachedTokens).toBe(3 + 21);
    expect(bench.model.rowsRun - rowsBefore).toBe(again.tailTokenIds.length);
    expect(bench.tokens('again')).toEqual(referenceTokens(again));
  });

  it('computes a block once for requests that come together', async () => {
    const bench = new CoreBench({ pages: 100, policy: { maxBatchTokens: 64 } });
    bench.submit(request('a', [block(1, 40)]), request('b', [block(1, 40)]), request('c', [block(1, 40)]));
    await bench.drain();
    expect(bench.model.rowsRun).toBe(SINKS.tokenIds.length + 40 + 3 * (5 + 7));
    for (const id of ['b', 'c']) expect(bench.tokens(id)).toEqual(bench.tokens('a'));
  });

  it('reads blocks from the tiers below if they have them', async () => {
    const first = new CoreBench();
    first.submit(request('a', [block(1, 7), block(2, 9)]));
    await first.drain();
    const second = new CoreBench();
    for (const [key, values] of first.stored) second.stored.set(key, values);
    second.submit(request('a', [block(2, 9), block(1, 7)]));
    await second.drain();
    expect(second.prefilled('a')?.blocks.map(({ origin }) => origin)).toEqual(['store', 'store']);
    expect(second.tokens('a')).toEqual(referenceTokens(request('a', [block(2, 9), block(1, 7)])));
  });

  it('runs full attention over the same tokens without touching blocks', async () => {
    const bench = new CoreBench();
    const whole = tokensOf(9, 30);
    const spec = request('full', [block(1, 7)], { attention: 'full', sinks: undefined, tailTokenIds: whole });
    bench.submit(spec);
    await bench.drain();
    expect(bench.tokens('full')).toEqual(referenceTokens(spec));
    expect(bench.prefilled('full')).toMatchObject({
      cachedTokens: 0,
      promptTokens: 30,
      blocks: [{ origin: 'computed' }],
    });
    expect(bench.cachedPages).toBe(0);
  });

  it('stops at a stop token without sending it', async () => {
    const bench = new CoreBench();
    const free = request('free', [block(1, 7)]);
    const stop = referenceTokens(free)[3] as number;
    bench.submit(request('stopped', [block(1, 7)], { sampling: { ...SAMPLING, stopTokenIds: [stop] } }));
    await bench.drain();
    expect(bench.tokens('stopped')).toEqual(referenceTokens(free).slice(0, referenceTokens(free).indexOf(stop)));
    expect(bench.last('stopped')).toMatchObject({ type: 'finish', reason: 'stop', stopTokenId: stop });
  });
});

describe('leaving early', () => {
  it('frees the pages of a half-computed block at once when its only request is cancelled', async () => {
    const bench = new CoreBench();
    bench.submit(request('a', [block(1, 60)]));
    for (let turns = 0; turns < 4; turns++) {
      await bench.turn();
      bench.answer();
    }
    expect(bench.freePages).toBeLessThan(bench.pages - 15);
    bench.core.handle({ type: 'cancel', handle: handleOf('a') });
    await bench.turn();
    expect(bench.last('a')).toMatchObject({ reason: 'cancelled' });
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
    expect(bench.mirror.has(block(1, 60).key)).toBe(false);
  });

  it('keeps computing a block for the request that still wants it', async () => {
    const bench = new CoreBench();
    bench.submit(request('a', [block(1, 60)]), request('b', [block(1, 60)]));
    for (let turns = 0; turns < 3; turns++) {
      await bench.turn();
      bench.answer();
    }
    bench.core.handle({ type: 'cancel', handle: handleOf('a') });
    await bench.drain();
    expect(bench.tokens('b')).toEqual(referenceTokens(request('b', [block(1, 60)])));
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  it('gives a request up at its deadline, waiting or running', async () => {
    const bench = new CoreBench({ policy: { maxRunning: 1 } });
    bench.submit(
      request('running', [], { deadlineMs: 50, sampling: { ...SAMPLING, maxTokens: 40 } }),
      request('waiting', [], { deadlineMs: 20 }),
    );
    await bench.turn();
    await bench.turn();
    bench.nowMs = 30;
    await bench.turn();
    expect(bench.last('waiting')).toEqual({ type: 'finish', reason: 'deadline', generatedTokens: 0 });
    bench.nowMs = 50;
    await bench.drain();
    expect(bench.last('running')).toMatchObject({ type: 'finish', reason: 'deadline' });
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  it('gives the lease back when a block that was asked for is no longer wanted', async () => {
    const bench = new CoreBench();
    bench.submit(request('a', [block(1, 10)]));
    await bench.turn();
    bench.core.handle({ type: 'cancel', handle: handleOf('a') });
    await bench.turn();
    bench.answer();
    await bench.drain();
    expect(bench.abandoned).toHaveLength(1);
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });
});

describe('when the pool is tight', () => {
  it('preempts the youngest request, and both give what they would have given alone', async () => {
    const bench = new CoreBench({ pages: 13, policy: { maxRunning: 4 } });
    const sampling = { ...SAMPLING, maxTokens: 24 };
    const specs = {
      a: request('a', [], { sampling }),
      b: request('b', [], { sampling, tailTokenIds: tokensOf(7, 6) }),
    };
    bench.submit(specs.a, specs.b);
    await bench.drain();
    expect(bench.counters.get('preemptions')).toBeGreaterThan(0);
    for (const [name, spec] of Object.entries(specs)) expect(bench.tokens(name)).toEqual(referenceTokens(spec));
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  it('evicts the block that was used longest ago', async () => {
    const bench = new CoreBench({ pages: 14 });
    for (const name of [1, 2]) {
      bench.submit(request(`first-${name}`, [block(name, 16)], { sampling: { ...SAMPLING, maxTokens: 1 } }));
      await bench.drain();
    }
    bench.submit(request('use-1', [block(1, 16)], { sampling: { ...SAMPLING, maxTokens: 1 } }));
    await bench.drain();
    bench.submit(request('third', [block(3, 16)], { sampling: { ...SAMPLING, maxTokens: 1 } }));
    await bench.drain();
    expect([...bench.mirror.keys()].sort()).toEqual([block(1, 16).key, block(3, 16).key]);
  });
});

describe('a step that fails', () => {
  it('fails the requests in it, frees their pages and goes on with the others', async () => {
    const bench = new CoreBench({ policy: { maxRunning: 1 } });
    const next = request('next', [block(1, 10)]);
    bench.submit(request('hit', [block(1, 10)]), next);
    await bench.turn();
    bench.answer();
    bench.model.failNext = 'out of memory';
    await bench.drain();
    expect(bench.last('hit')).toEqual({ type: 'failed', code: 'engine_failed', details: { reason: 'out of memory' } });
    expect(bench.tokens('next')).toEqual(referenceTokens(next));
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  it('ends only the request whose rows cannot be run', async () => {
    const bench = new CoreBench({ pages: 100, policy: { maxBatchTokens: 64 } });
    const good = [
      request('good-1', [block(1, 10)]),
      request('good-2', [block(2, 7)], { tailTokenIds: tokensOf(8, 3) }),
    ];
    const bad = request('bad', [block(1, 10)], { tailTokenIds: Int32Array.of(4, 995, 5) });
    bench.model.poison = 995;
    bench.submit(good[0] as (typeof good)[0], bad, good[1] as (typeof good)[0]);
    bench.core.handle({
      type: 'ingest',
      spec: { handle: handleOf('job'), sinks: SINKS, blocks: [{ ...block(3, 6), index: 0 }] },
    });
    await bench.drain();
    expect(bench.last('bad')).toEqual({ type: 'failed', code: 'engine_failed', details: { reason: 'a bad row' } });
    for (const spec of good) expect(bench.tokensOf(spec)).toEqual(referenceTokens(spec));
    expect(bench.ingested).toHaveLength(1);
    expect(bench.failedIngests).toEqual([]);
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  it('fails an ingestion with its reason', async () => {
    const bench = new CoreBench();
    bench.core.handle({
      type: 'ingest',
      spec: { handle: handleOf('job'), sinks: SINKS, blocks: [{ ...block(1, 10), index: 0 }] },
    });
    await bench.turn();
    bench.answer();
    bench.model.failNext = 'no kernel';
    await bench.drain();
    expect(bench.failedIngests).toEqual([{ handle: handleOf('job'), reason: 'no kernel' }]);
    expect(bench.core.idle).toBe(true);
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });
});

describe('ingestion', () => {
  it('computes each block, saves it and reports it', async () => {
    const bench = new CoreBench();
    const blocks = [block(1, 10), block(2, 6)].map((spec, index) => ({ ...spec, index }));
    bench.core.handle({ type: 'ingest', spec: { handle: handleOf('job'), sinks: SINKS, blocks } });
    await bench.drain();
    expect(bench.ingested.map(({ index, origin, save }) => ({ index, origin, save }))).toEqual([
      { index: 0, origin: 'computed', save: true },
      { index: 1, origin: 'computed', save: true },
    ]);
    expect([...bench.stored.keys()].sort()).toEqual(blocks.map(({ key }) => key).sort());
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  it('reports a block in the very message that asks for its save, so that the save cannot be over before', async () => {
    const bench = new CoreBench();
    bench.core.handle({
      type: 'ingest',
      spec: { handle: handleOf('job'), sinks: SINKS, blocks: [{ ...block(1, 10), index: 0 }] },
    });
    for (let turns = 0; turns < 20 && bench.ingested.length === 0; turns++) {
      await bench.core.turn();
      const news = bench.core.takeNews();
      expect(news.ingested.map(({ save }) => save)).toEqual(news.saves.map(() => true));
      if (news.ingested.length > 0) return;
      for (const { stay } of news.loads) bench.core.handle({ type: 'settled', stay, tier: undefined });
    }
    expect.fail('the block was never ingested');
  });

  it('lets requests go first, and is not starved by them', async () => {
    const bench = new CoreBench({ pages: 128 });
    const blocks = Array.from({ length: 3 }, (_, index) => ({ ...block(index, 12), index }));
    bench.core.handle({ type: 'ingest', spec: { handle: handleOf('job'), sinks: SINKS, blocks } });
    bench.submit(request('a', [], { sampling: { ...SAMPLING, maxTokens: 60 } }));
    const doneAt: number[] = [];
    for (let turns = 0; bench.last('a')?.type !== 'finish'; turns++) {
      await bench.turn();
      bench.answer();
      while (doneAt.length < bench.ingested.length) doneAt.push(turns);
    }
    expect(doneAt).toHaveLength(3);
    expect(doneAt[0]).toBeGreaterThan(POLICY.ingestEverySteps);
    await bench.drain();
  });

  it('gives its pages to a request that needs them and takes the work up again', async () => {
    const bench = new CoreBench({ pages: 16, policy: { ingestTokens: 4 } });
    bench.core.handle({
      type: 'ingest',
      spec: { handle: handleOf('job'), sinks: SINKS, blocks: [{ ...block(1, 40), index: 0 }] },
    });
    for (let turns = 0; turns < 3; turns++) {
      await bench.turn();
      bench.answer();
    }
    const spec = request('a', [block(2, 24)]);
    bench.submit(spec);
    await bench.drain();
    expect(bench.tokens('a')).toEqual(referenceTokens(spec));
    expect(bench.ingested).toHaveLength(1);
  });
});

describe('whatever the way', () => {
  const specArbitrary = fc.record({
    blocks: fc.array(fc.record({ name: fc.nat(2), length: fc.constantFrom(1, 8, 13) }), { maxLength: 4 }),
    tail: fc.integer({ min: 1, max: 9 }),
    maxTokens: fc.integer({ min: 1, max: 12 }),
    full: fc.boolean(),
    withSinks: fc.boolean(),
  });
  type Draw = typeof specArbitrary extends fc.Arbitrary<infer T> ? T : never;
  const actionArbitrary = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('submit' as const), spec: specArbitrary }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('answer' as const), count: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('evict' as const), all: fc.boolean(), name: fc.nat(4) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('store' as const), up: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('ingest' as const), name: fc.nat(2), length: fc.constantFrom(8, 13) }),
    },
  );

  function specOf(id: string, draw: Draw) {
    const blocks = draw.full ? [] : draw.blocks.map(({ name, length }) => block(name, length));
    // The key covers the sinks, as `blockKey` does.
    const sinks = draw.withSinks && !draw.full ? SINKS : undefined;
    const keyed = blocks.map((spec) => ({ ...spec, key: `${sinks === undefined ? 'bare' : 'sunk'}-${spec.key}` }));
    return request(id, keyed, {
      attention: draw.full ? 'full' : 'block',
      sinks,
      tailTokenIds: tokensOf(draw.tail + 50, draw.tail),
      sampling: { ...SAMPLING, maxTokens: draw.maxTokens },
    });
  }

  it('greedy output depends on the plan alone, and no page is lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(actionArbitrary, { minLength: 10, maxLength: 120 }),
        fc.integer({ min: 24, max: 60 }),
        fc.constantFrom(1, 2, 4),
        async (actions, pages, rowMultiple) => {
          const bench = new CoreBench({ pages, rowMultiple, policy: { maxBatchTokens: 11, maxRunning: 3 } });
          const specs = new Map<string, ReturnType<typeof specOf>>();
          const disturbed = new Set<string>();
          for (const [step, action] of actions.entries()) {
            if (action.do === 'submit') {
              const spec = specOf(`r${step}`, action.spec);
              specs.set(`r${step}`, spec);
              bench.submit(spec);
            } else if (action.do === 'turn') {
              await bench.turn();
            } else if (action.do === 'answer') {
              bench.answer(action.count);
            } else if (action.do === 'cancel') {
              const id = [...specs.keys()][action.which];
              if (id === undefined) continue;
              disturbed.add(id);
              bench.core.handle({ type: 'cancel', handle: handleOf(id) });
            } else if (action.do === 'evict') {
              const keys = [...bench.mirror.keys()].filter((_, index) => index % 2 === 0);
              const selection = action.all ? { prefix: '' } : { keys };
              bench.core.handle({ type: 'forget', call: step, selection, tiers: new Set(['pool']) });
            } else if (action.do === 'store') {
              bench.storeUp = action.up;
            } else if (action.do === 'fail') {
              bench.model.failNext = 'drawn';
            } else {
              const spec = block(action.name, action.length);
              bench.core.handle({
                type: 'ingest',
                spec: {
                  handle: handleOf(`j${step}`),
                  sinks: SINKS,
                  blocks: [{ ...spec, key: `sunk-${spec.key}`, index: 0 }],
                },
              });
            }
          }
          await bench.drain();
          for (const [id, spec] of specs) {
            const last = bench.last(id);
            if (last?.type === 'failed') expect(last.details).toEqual({ reason: 'drawn' });
            else if (!disturbed.has(id)) expect(bench.tokens(id)).toEqual(referenceTokens(spec));
            else expect(referenceTokens(spec).slice(0, bench.tokens(id).length)).toEqual(bench.tokens(id));
          }
          expect(bench.core.idle).toBe(true);
          expect(bench.freePages + bench.cachedPages).toBe(pages);
        },
      ),
      { numRuns: 150 },
    );
  });
});
