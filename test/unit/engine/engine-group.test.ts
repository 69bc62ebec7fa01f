import { describe, expect, test } from 'vitest';
import type { Engine, EngineStatistics, GenerateEvent, GenerateRequest } from '../../../src/engine/engine.js';
import { EngineGroup } from '../../../src/engine/engine-group.js';

/** An engine that notes what it was given and ends a request when told to. */
function recorded() {
  const requests: string[] = [];
  const end = new Map<string, () => void>();
  const engine = {
    generate: (request: GenerateRequest): AsyncIterable<GenerateEvent> => {
      requests.push(request.label as string);
      const ended = new Promise<void>((resolve) => end.set(request.label as string, resolve));
      return (async function* () {
        yield { type: 'token', tokenId: 1 };
        await ended;
        yield { type: 'finish', reason: 'length', generatedTokens: 1 };
      })();
    },
    ingest: async () => [],
    blockKey: (tokenIds: Int32Array) => tokenIds.join('.'),
    state: { name: 'running', reason: '', restarts: 0 },
    statistics: () => STATISTICS,
    close: async () => {},
  } as unknown as Engine;
  return { engine, requests, end };
}

const STATISTICS = {
  ...{
    running: 1,
    waiting: 2,
    queriedTokens: 3,
    promptTokens: 4,
    generatedTokens: 5,
    repairedTokens: 0,
    preemptions: 0,
    drafts: 0,
    draftTokens: 0,
    acceptedTokens: 0,
  },
  ...{ steps: 6, stepMs: 7, runMs: 8, hitTokens: { pool: 1, host: 2, store: 0 } },
  pool: { pages: 10, freePages: 4, cachedPages: 3, activePages: 3, pageTokens: 16, pageBytes: 100, cachedBlocks: 2 },
} as unknown as EngineStatistics;

function request(id: string, ...blocks: number[][]): GenerateRequest {
  const plan = {
    attention: 'block',
    sinkTokenIds: new Int32Array(0),
    blocks: blocks.map((tokens) => ({ kind: 'document', tokenIds: Int32Array.from(tokens) })),
    finalTokenIds: Int32Array.of(1),
  };
  return { label: id, plan, sampling: {} } as unknown as GenerateRequest;
}

async function drain(events: AsyncIterable<GenerateEvent>): Promise<void> {
  for await (const _ of events);
}

describe('a group of engines', () => {
  test('spreads requests that run at once, and goes back to the engine that has the blocks', async () => {
    const [first, second] = [recorded(), recorded()];
    const group = new EngineGroup([first.engine, second.engine]);
    const one = drain(group.generate(request('a', [1, 2, 3])));
    const two = drain(group.generate(request('b', [4, 5, 6])));
    expect([first.requests, second.requests]).toEqual([['a'], ['b']]);
    first.end.get('a')?.();
    second.end.get('b')?.();
    await Promise.all([one, two]);
    const again = drain(group.generate(request('c', [4, 5, 6], [7])));
    expect(second.requests).toEqual(['b', 'c']);
    second.end.get('c')?.();
    await again;
  });

  test('counts a request out when its reader leaves early, and when it fails', async () => {
    const [first, second] = [recorded(), recorded()];
    const group = new EngineGroup([first.engine, second.engine]);
    for await (const _ of group.generate(request('a'))) break;
    const stays = drain(group.generate(request('b')));
    expect(first.requests).toEqual(['a', 'b']);
    const failing = { ...first.engine, generate: () => broken() } as Engine;
    const other = new EngineGroup([failing, second.engine]);
    await expect(drain(other.generate(request('c')))).rejects.toThrow('lost');
    await expect(drain(other.generate(request('d')))).rejects.toThrow('lost');
    first.end.get('b')?.();
    await stays;
  });

  test('gives no request to an engine that is restarting, and says why when none runs', async () => {
    const [first, second] = [recorded(), recorded()];
    const away = { name: 'restarting', reason: 'the worker ended', restarts: 1 } as const;
    const group = new EngineGroup([{ ...first.engine, state: away } as Engine, second.engine]);
    const requests = ['a', 'b'].map((id) => drain(group.generate(request(id))));
    expect(second.requests).toEqual(['a', 'b']);
    expect(group.state).toEqual({ name: 'running', reason: '', restarts: 1 });
    for (const id of ['a', 'b']) second.end.get(id)?.();
    await Promise.all(requests);
    const down = { name: 'down', reason: 'five starts failed', restarts: 5 } as const;
    const none = new EngineGroup([
      { ...first.engine, state: down } as Engine,
      { ...second.engine, state: away } as Engine,
    ]);
    expect(none.state).toEqual({ ...away, restarts: 6 });
  });

  test('adds up pools and counters', async () => {
    const group = new EngineGroup([recorded().engine, recorded().engine]);
    expect(group.statistics()).toEqual({
      ...STATISTICS,
      ...{ running: 2, waiting: 4, queriedTokens: 6, promptTokens: 8, generatedTokens: 10 },
      ...{ steps: 12, stepMs: 14, runMs: 16, hitTokens: { pool: 2, host: 4, store: 0 } },
      pool: { ...STATISTICS.pool, pages: 20, freePages: 8, cachedPages: 6, activePages: 6, cachedBlocks: 4 },
    });
  });
});

// biome-ignore lint/correctness/useYield: it fails before it has anything to give
async function* broken(): AsyncGenerator<GenerateEvent> {
  throw new Error('the GPU is lost');
}
