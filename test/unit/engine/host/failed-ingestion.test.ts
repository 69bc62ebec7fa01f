/** An ingestion that has failed is over: its other blocks are neither computed nor written, and it holds nothing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { SINKS, tokensOf } from '../../../support/core-bench.js';
import { PAGES, PaperEngine } from '../../../support/paper-engine.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-failed-ingestion-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const BLOCKS = 40;
const TOKENS = 64;
/** Rows of a step of the paper engine at most. */
const STEP_ROWS = 100;
const blocks = Array.from({ length: BLOCKS }, (_, name) => ({
  kind: 'document' as const,
  tokenIds: tokensOf(name, TOKENS),
}));

interface Bench {
  engine: PaperEngine;
  /** Writes that reached the store. */
  puts: () => number;
  /** Turns, answers and messages, one of each at a time, until it holds. */
  until(holds: () => boolean): Promise<void>;
}

async function bench(name: string): Promise<Bench> {
  const engine = await PaperEngine.start(join(directory, name), 0, 0);
  const { store } = engine;
  const put = store.put;
  let puts = 0;
  store.put = (entries, signal) => {
    puts++;
    return put(entries, signal);
  };
  return {
    engine,
    puts: () => puts,
    async until(holds) {
      for (let turns = 0; !holds(); turns++) {
        if (turns > 1_000) throw new Error('it does not come to that');
        await engine.worker.turn();
        engine.worker.deliver();
        while (engine.gates.waiting > 0) engine.gates.open(0);
        await engine.settle();
      }
    },
  };
}

/** Ingests all blocks; tells when it is over and how. */
function ingestion({ engine }: Bench, signal?: AbortSignal) {
  const outcome = { over: false, code: '' };
  const reports = engine.host.ingest(blocks, { sinkTokenIds: SINKS.tokenIds }, signal).then(
    () => 'done',
    (error) => error.code,
  );
  void reports.then((code) => Object.assign(outcome, { over: true, code }));
  return outcome;
}

/** All that is left runs to its end. @returns rows computed meanwhile */
async function rest({ engine }: Bench): Promise<number> {
  const before = engine.model.rowsRun;
  await engine.drain();
  expect(engine.worker.core.idle).toBe(true);
  const { freePages, cachedPages } = engine.host.statistics().pool;
  expect(freePages + cachedPages).toBe(PAGES);
  return engine.model.rowsRun - before;
}

describe('an ingestion of 40 blocks', () => {
  test('whose store refuses computes no more than the step under way, and writes next to nothing', async () => {
    const running = await bench('refuses');
    running.engine.store.refuses = true;
    const outcome = ingestion(running);
    await running.until(() => outcome.over);
    expect(outcome.code).toBe('store_failed');
    expect(await rest(running)).toBeLessThanOrEqual(STEP_ROWS);
    expect(running.engine.model.rowsRun).toBeLessThan((BLOCKS * TOKENS) / 4);
    expect(running.puts()).toBeLessThan(BLOCKS / 4);
    await running.engine.close();
  });

  test('whose store refuses after some blocks computes no more than the step under way', async () => {
    const running = await bench('later');
    const outcome = ingestion(running);
    await running.until(() => running.puts() > 10);
    running.engine.store.refuses = true;
    const before = { rows: running.engine.model.rowsRun, puts: running.puts() };
    await running.until(() => outcome.over);
    expect(outcome.code).toBe('store_failed');
    expect(await rest(running)).toBeLessThanOrEqual(STEP_ROWS);
    expect(running.engine.model.rowsRun - before.rows).toBeLessThan((BLOCKS * TOKENS) / 4);
    expect(running.puts() - before.puts).toBeLessThan(BLOCKS / 4);
    await running.engine.close();
  });

  test('of which a block is deleted says so', async () => {
    const running = await bench('deleted');
    const outcome = ingestion(running);
    await running.until(() => running.puts() > 3);
    const { engine } = running;
    const key = engine.host.blockKey(tokensOf(0, TOKENS), SINKS.tokenIds);
    const deleted = engine.cache.forget({ keys: [key] });
    await running.until(() => outcome.over);
    expect(outcome.code).toBe('deleted_meanwhile');
    await rest(running);
    await deleted;
    await engine.close();
  });

  test('whose client leaves computes no more than the step under way', async () => {
    const running = await bench('leaves');
    const client = new AbortController();
    const outcome = ingestion(running, client.signal);
    await running.until(() => running.puts() > 3);
    client.abort();
    await running.until(() => outcome.over);
    expect(outcome.code).toBe('client_closed');
    expect(await rest(running)).toBeLessThanOrEqual(STEP_ROWS);
    expect(running.puts()).toBeLessThan(BLOCKS / 2);
    await running.engine.close();
  });

  test('that has failed leaves the blocks to another that asks for the same', async () => {
    const running = await bench('two');
    const [client, others] = [new AbortController(), new AbortController()];
    const failed = ingestion(running, client.signal);
    const other = ingestion(running, others.signal);
    await running.until(() => running.puts() > 3);
    client.abort();
    await running.until(() => failed.over && other.over);
    expect([failed.code, other.code]).toEqual(['client_closed', 'done']);
    // Each block was computed once, save for those that were half done.
    const once = BLOCKS * TOKENS + SINKS.tokenIds.length;
    expect(running.engine.model.rowsRun).toBeLessThanOrEqual(once + STEP_ROWS);
    await rest(running);
    await running.engine.close();
  });
});
