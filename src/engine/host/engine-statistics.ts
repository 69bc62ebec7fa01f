/** The engine's counts. The HTTP thread reads them without asking the worker. Knows counters and pages. */
import type { EngineStatistics } from '../engine.js';
import type { SharedCounters } from '../wire/shared-counters.js';

export function engineStatistics({
  counters,
  pool: { pages, pageBytes },
  pageTokens,
}: {
  counters: Pick<SharedCounters, 'get'>;
  pool: { pages: number; pageBytes: number };
  pageTokens: number;
}): EngineStatistics {
  const freePages = counters.get('freePages');
  const cachedPages = counters.get('cachedPages');
  const running = counters.get('running');
  return {
    running,
    waiting: counters.get('waiting'),
    pool: {
      pages,
      freePages,
      cachedPages,
      // While no worker runs, no page is in use.
      activePages: freePages + cachedPages === 0 && running === 0 ? 0 : pages - freePages - cachedPages,
      pageTokens,
      pageBytes,
      cachedBlocks: counters.get('cachedBlocks'),
    },
    queriedTokens: counters.get('queriedTokens'),
    hitTokens: { pool: counters.get('hitPool'), host: counters.get('hitHost'), store: counters.get('hitStore') },
    promptTokens: counters.get('promptTokens'),
    generatedTokens: counters.get('generatedTokens'),
    repairedTokens: counters.get('repairedTokens'),
    preemptions: counters.get('preemptions'),
    drafts: counters.get('drafts'),
    draftTokens: counters.get('draftTokens'),
    acceptedTokens: counters.get('acceptedTokens'),
    steps: counters.get('steps'),
    stepMs: counters.get('stepMs'),
    runMs: counters.get('runMs'),
  };
}
