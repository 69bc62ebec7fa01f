/**
 * Drafts in the engine core: whatever is proposed, a request gets the tokens that it gets without, and nothing of what
 * was rejected stays. The proposers know the right answer and spoil it as they are told.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SamplingParams } from '../../../../src/engine/engine.js';
import { uniform } from '../../../../src/engine/sampling/token-random.js';
import type { DraftProposer } from '../../../../src/engine/schedule/draft-rows.js';
import type { RequestEvent } from '../../../../src/engine/wire/messages.js';
import type { Handle, RequestSpec } from '../../../../src/engine/wire/specs.js';
import type { NextToken } from '../../../../src/grammar/mask-link.js';
import { block, CoreBench, handleOf, request, SAMPLING, tokensOf } from '../../../support/core-bench.js';

const VOCAB = 997;

/** A grammar that allows two tokens of three, others each time; how often it is late is drawn. */
class Masks {
  readonly #accepted = new Map<Handle, number>();
  #asked = 0;
  constructor(readonly lateness: number) {}
  open(handle: Handle): void {
    this.#accepted.set(handle, 0);
  }
  next(handle: Handle): NextToken {
    if (uniform(7, this.#asked++) < this.lateness) return 'waiting';
    const step = this.#accepted.get(handle) as number;
    const allowed = new Int32Array(Math.ceil(VOCAB / 32));
    for (let id = 0; id < VOCAB; id++) {
      if ((id * 7 + step) % 3 !== 0) allowed[id >> 5] = (allowed[id >> 5] as number) | (1 << (id & 31));
    }
    return { allowed };
  }
  accept(handle: Handle): void {
    this.#accepted.set(handle, (this.#accepted.get(handle) as number) + 1);
  }
  close(handle: Handle): void {
    this.#accepted.delete(handle);
  }
}

/** Proposes what comes next, with every n-th token wrong. */
class Oracle implements DraftProposer {
  #proposed = 0;
  constructor(
    readonly answers: ReadonlyMap<Handle, readonly number[]>,
    readonly length: number,
    readonly wrongEvery = Number.POSITIVE_INFINITY,
  ) {}
  propose(sequence: Parameters<DraftProposer['propose']>[0], most: number): { tokens: Int32Array; expected: number } {
    const answer = this.answers.get(sequence.spec.handle) ?? [];
    const right = answer.slice(sequence.generated, sequence.generated + Math.min(most, this.length));
    const tokens = right.map((id) => (++this.#proposed % this.wrongEvery === 0 ? (id + 1) % VOCAB : id));
    return { tokens: Int32Array.from(tokens), expected: tokens.length };
  }
}

/** What a client sees. */
function seen(events: readonly RequestEvent[]) {
  return events
    .filter(({ type }) => type === 'token' || type === 'finish')
    .map((event) => ({ ...event, proposedTokens: undefined, accepted: undefined }));
}

/** The events of a request that is served alone, without drafts. */
async function alone(spec: RequestSpec): Promise<ReturnType<typeof seen>> {
  const bench = new CoreBench({ pages: 100, masks: new Masks(0) });
  bench.submit(spec);
  await bench.drain();
  return seen(bench.events.get(spec.handle) ?? []);
}

const idsOf = (events: ReturnType<typeof seen>) =>
  events.flatMap((event) => (event.type === 'token' ? [event.tokenId] : []));

async function benchFor(specs: readonly RequestSpec[], length = 4, wrongEvery?: number, pages = 100) {
  const answers = new Map<Handle, number[]>();
  for (const spec of specs) answers.set(spec.handle, idsOf(await alone(spec)));
  return new CoreBench({ pages, policy: { maxBatchTokens: 32 }, drafts: new Oracle(answers, length, wrongEvery) });
}

describe('a draft', () => {
  test('saves a step for each of its tokens that comes out, and the text is the same', async () => {
    const spec = request('quoted', [block(1, 7)], { sampling: { ...SAMPLING, maxTokens: 11 } });
    const bench = await benchFor([spec], 4);
    bench.submit(spec);
    await bench.drain();
    expect(seen(bench.events.get(spec.handle) ?? [])).toEqual(await alone(spec));
    const plain = new CoreBench({ pages: 100, policy: { maxBatchTokens: 32 } });
    plain.submit(spec);
    await plain.drain();
    // Two drafts of four; of the eleven tokens the first comes from the prefill.
    expect(['drafts', 'draftTokens', 'acceptedTokens'].map((name) => bench.counters.get(name as 'drafts'))).toEqual([
      2, 8, 8,
    ]);
    expect(plain.model.steps - bench.model.steps).toBe(8);
    const events = bench.events.get(spec.handle) ?? [];
    expect(events.filter((event) => event.type === 'token' && event.accepted)).toHaveLength(8);
    expect(events.flatMap((event) => ('proposedTokens' in event ? [event.proposedTokens] : []))).toEqual([4, 4]);
  });

  test('is as long as the answer may still become', async () => {
    const spec = request('short', [block(1, 7)], { sampling: { ...SAMPLING, maxTokens: 4 } });
    const bench = await benchFor([spec], 12);
    bench.submit(spec);
    await bench.drain();
    expect(seen(bench.events.get(spec.handle) ?? [])).toEqual(await alone(spec));
    // The first token of four is the prefill's, the last one is the step's own.
    expect(bench.counters.get('draftTokens')).toBe(2);
  });

  test('ends with the answer at a stop token in its middle', async () => {
    const free = request('free', [block(2, 9)], { sampling: { ...SAMPLING, maxTokens: 12 } });
    const answer = idsOf(await alone(free));
    const stop = answer[3] as number;
    const spec = request('stopped', [block(2, 9)], { sampling: { ...free.sampling, stopTokenIds: [stop] } });
    const bench = new CoreBench({ drafts: new Oracle(new Map([[spec.handle, answer]]), 8) });
    bench.submit(spec);
    await bench.drain();
    expect(seen(bench.events.get(spec.handle) ?? [])).toEqual(await alone(spec));
    expect(bench.last('stopped')).toMatchObject({ reason: 'stop', stopTokenId: stop, generatedTokens: 4 });
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  test('gives pages back that no token needs, before the next step', async () => {
    const spec = request('rejected', [], { sampling: { ...SAMPLING, maxTokens: 24 } });
    const wrong = new Map([[spec.handle, new Array(24).fill(0) as number[]]]);
    const bench = new CoreBench({ pages: 30, policy: { maxBatchTokens: 32 }, drafts: new Oracle(wrong, 8) });
    const plain = new CoreBench({ pages: 30, policy: { maxBatchTokens: 32 } });
    for (const each of [bench, plain]) each.submit(spec);
    while (bench.last('rejected')?.type !== 'finish') {
      await bench.turn();
      await plain.turn();
      // A page for the next token may be there one step earlier.
      expect(plain.freePages - bench.freePages).toBeLessThanOrEqual(1);
    }
    expect(bench.counters.get('draftTokens')).toBeGreaterThan(100);
    expect(bench.tokens('rejected')).toEqual(plain.tokens('rejected'));
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  test('takes no page that a cached block has', async () => {
    const spec = request('next', [], { sampling: { ...SAMPLING, maxTokens: 9 } });
    const answer = idsOf(await alone(spec));
    const bench = new CoreBench({ pages: 12, drafts: new Oracle(new Map([[spec.handle, answer]]), 8) });
    bench.submit(request('fills', [block(1, 24)], { sampling: { ...SAMPLING, maxTokens: 1 } }));
    await bench.drain();
    bench.submit(spec);
    await bench.drain();
    expect(bench.tokens('next')).toEqual(answer);
    expect(bench.mirror.has(block(1, 24).key)).toBe(true);
  });

  test('is given up if its step fails, and its request goes on', async () => {
    const spec = request('unlucky', [block(1, 7)], { sampling: { ...SAMPLING, maxTokens: 10 } });
    const bench = new CoreBench({ drafts: new Oracle(new Map([[spec.handle, new Array(10).fill(996)]]), 4) });
    bench.model.poison = 996;
    bench.submit(spec);
    await bench.drain();
    expect(seen(bench.events.get(spec.handle) ?? [])).toEqual(await alone(spec));
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  test('changes nothing for requests that are preempted', async () => {
    const sampling = { ...SAMPLING, maxTokens: 24 };
    const specs = [
      request('older', [], { sampling }),
      request('younger', [], { sampling, tailTokenIds: tokensOf(7, 6) }),
    ];
    const bench = await benchFor(specs, 2, 3, 13);
    bench.submit(...specs);
    await bench.drain();
    expect(bench.counters.get('preemptions')).toBeGreaterThan(0);
    expect(bench.counters.get('acceptedTokens')).toBeGreaterThan(0);
    for (const spec of specs) expect(seen(bench.events.get(spec.handle) ?? [])).toEqual(await alone(spec));
    expect(bench.freePages + bench.cachedPages).toBe(bench.pages);
  });

  test('is not made for a request that wants none', async () => {
    const spec = request('plain', [block(1, 7)], { sampling: { ...SAMPLING, maxTokens: 10, promptLookup: false } });
    const bench = await benchFor([spec], 4);
    bench.submit(spec);
    await bench.drain();
    expect(bench.counters.get('drafts')).toBe(0);
    expect(bench.tokens('plain')).toEqual(idsOf(await alone(spec)));
  });
});

describe('whatever is proposed', () => {
  const samplings: Partial<SamplingParams>[] = [
    {},
    { topLogprobs: 3 },
    { temperature: 1 },
    { temperature: 0.8, topK: 7 },
    { temperature: 1.3, topP: 0.9, topLogprobs: 1 },
    { temperature: 0.7, minP: 0.05 },
    { frequencyPenalty: 1, presencePenalty: 0.5 },
    { temperature: 0.9, repetitionPenalty: 1.3 },
    { logitBias: new Map([[5, 3.5]]), temperature: 0.5, frequencyPenalty: 2 },
  ];
  const specArbitrary = fc.record({
    blocks: fc.array(fc.record({ name: fc.nat(2), length: fc.constantFrom(1, 8, 13) }), { maxLength: 3 }),
    tail: fc.integer({ min: 1, max: 9 }),
    maxTokens: fc.integer({ min: 1, max: 20 }),
    way: fc.constantFrom('block' as const, 'full' as const, 'repair' as const),
    sampling: fc.constantFrom(...samplings),
    grammar: fc.boolean(),
    seed: fc.nat(3),
    stops: fc.array(fc.nat(VOCAB - 1), { maxLength: 40 }),
  });
  const actionArbitrary = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('submit' as const), spec: specArbitrary }) },
    { weight: 10, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('answer' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const) }) },
  );

  function specOf(name: string, draw: typeof specArbitrary extends fc.Arbitrary<infer T> ? T : never): RequestSpec {
    const { way, grammar, stops, maxTokens, tail, seed } = draw;
    const sampling = { ...SAMPLING, ...draw.sampling, maxTokens, stopTokenIds: stops };
    return request(name, way === 'full' ? [] : draw.blocks.map((each) => block(each.name, each.length)), {
      attention: way === 'full' ? 'full' : 'block',
      ...(way === 'full' ? { sinks: undefined } : {}),
      ...(way === 'repair' ? { repair: { share: 0.4, by: 'first' as const } } : {}),
      ...(grammar ? { grammar: 9 } : {}),
      tailTokenIds: tokensOf(tail + 50, tail),
      sampling,
      seed,
    });
  }

  test('every request gets what it gets alone and without drafts, and no page is lost', async () => {
    let drafts = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(actionArbitrary, { minLength: 10, maxLength: 60 }),
        fc.record({
          pages: fc.integer({ min: 26, max: 50 }),
          rowMultiple: fc.constantFrom(1, 4),
          length: fc.constantFrom(1, 3, 8),
          wrongEvery: fc.constantFrom(1, 2, 5, 100),
          lateness: fc.constantFrom(0, 0.3),
        }),
        async (actions, { pages, rowMultiple, length, wrongEvery, lateness }) => {
          const answers = new Map<Handle, number[]>();
          const expected = new Map<string, ReturnType<typeof seen>>();
          const bench = new CoreBench({
            ...{ pages, rowMultiple, masks: new Masks(lateness) },
            policy: { maxBatchTokens: 17, maxRunning: 3 },
            drafts: new Oracle(answers, length, wrongEvery),
          });
          const cancelled = new Set<string>();
          for (const [step, action] of actions.entries()) {
            if (action.do === 'submit') {
              const spec = specOf(`r${step}`, action.spec);
              const events = await alone(spec);
              expected.set(`r${step}`, events);
              answers.set(spec.handle, idsOf(events));
              bench.submit(spec);
            } else if (action.do === 'turn') await bench.turn();
            else if (action.do === 'answer') bench.answer();
            else if (action.do === 'fail') bench.model.failNext = 'drawn';
            else {
              const name = [...expected.keys()][action.which];
              if (name === undefined) continue;
              cancelled.add(name);
              bench.core.handle({ type: 'cancel', handle: handleOf(name) });
            }
          }
          await bench.drain();
          for (const [name, whole] of expected) {
            const last = bench.last(name);
            const events = seen(bench.events.get(handleOf(name)) ?? []);
            if (last?.type === 'failed') expect(last.details).toEqual({ reason: 'drawn' });
            else if (!cancelled.has(name)) expect(events).toEqual(whole);
            else expect(idsOf(whole).slice(0, idsOf(events).length)).toEqual(idsOf(events));
            bench.events.delete(handleOf(name));
          }
          drafts += bench.counters.get('drafts');
          expect(bench.core.idle).toBe(true);
          expect(bench.freePages + bench.cachedPages).toBe(pages);
        },
      ),
      { numRuns: 60 },
    );
    // The draws must have reached what they are meant to reach.
    expect(drafts).toBeGreaterThan(100);
  });
});
