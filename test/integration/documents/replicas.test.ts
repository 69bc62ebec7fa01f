/**
 * Replicas over one Redis, each a process of its own, that ingest the same documents. Each block is prefilled once
 * between them, whatever the order, and one that is killed holds nobody up for ever.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { startRedis, type TestRedis } from '../../support/redis-server.js';
import { endProcesses, type ServedProcess, serveProcess } from '../../support/served-process.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-replicas-'));
let redis: TestRedis;
const NAMES = ['Zokego', 'Tolefi', 'Sonako', 'Limoga', 'Rasubo', 'Kemira', 'Dovala', 'Penuto'];
const DOCUMENTS = 9;
/** Long enough that replicas meet at one block, and every third one shares its blocks with the one before. */
const textOf = (index: number, round: number) =>
  Array.from({ length: 50 }, (_, at) => {
    const year = round * 2_000 + (index - (index % 3 === 2 ? 1 : 0)) * 100 + at;
    return `${NAMES[year % 7]} of year ${year} is held in ${NAMES[(year * 5) % 8]}. ${NAMES[(year * 3) % 5]} hosts it.`;
  }).join(' ');
const all = Array.from({ length: DOCUMENTS }, (_, index) => index);

interface Answer {
  blocks: { hash: string; tokens: number; origin?: string }[];
}

beforeEach(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  await endProcesses();
  await redis.stop();
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const serve = () => serveProcess(home, ['--redis-url', redis.url]);

/** Ingests the documents of a round in an order, `width` at a time. No two rounds have a block in common. */
async function ingestAll(server: ServedProcess, order: readonly number[], width: number, round: number) {
  const answers: Answer[] = [];
  const left = [...order];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const id = `${round}-${next}`;
      const { status, json } = await server.ask<Answer>('POST', '/v1/documents', {
        id,
        text: textOf(next, round),
      });
      expect(status).toBe(200);
      answers.push(json);
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return answers;
}

function distinctTokens(answers: readonly Answer[]): number {
  const distinct = new Map(answers.flatMap(({ blocks }) => blocks.map(({ hash, tokens }) => [hash, tokens])));
  return [...distinct.values()].reduce((total, tokens) => total + tokens, 0);
}

/** Tokens that replicas have prefilled for documents since they started. */
async function prefilledTokens(replicas: readonly ServedProcess[]): Promise<number> {
  let total = 0;
  for (const { url } of replicas) {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    total += Number(/ingested_tokens_total\{origin="computed",[^}]*\} (\d+)/.exec(metrics)?.[1] ?? 0);
  }
  return total;
}

/** A drawn order: the same in each run. */
function drawn(seed: number): number[] {
  const order = [...all];
  let state = seed;
  for (let at = order.length - 1; at > 0; at--) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const other = state % (at + 1);
    [order[at], order[other]] = [order[other] as number, order[at] as number];
  }
  return order;
}

test.each([2, 4])('%i replicas prefill each block once, whatever order each of them takes', async (count) => {
  const replicas = await Promise.all(Array.from({ length: count }, serve));
  const orders: [string, (replica: number) => number[]][] = [
    ['same', () => all],
    ['reverse', (replica) => (replica % 2 === 0 ? all : [...all].reverse())],
    ['drawn', (replica) => drawn(replica + 7)],
  ];
  let before = 0;
  let round = 0;
  for (const [name, orderOf] of orders) {
    for (const width of [1, 4]) {
      round++;
      const ingesting = replicas.map((server, index) => ingestAll(server, orderOf(index), width, round));
      const distinct = distinctTokens((await Promise.all(ingesting)).flat());
      expect(distinct).toBeGreaterThan(3_000);
      const prefilled = (await prefilledTokens(replicas)) - before;
      before += prefilled;
      expect([name, width, prefilled / distinct]).toEqual([name, width, 1]);
    }
  }
});

test('one of two replicas is killed while it ingests: the other takes its blocks over', async () => {
  const [first, second] = await Promise.all([serve(), serve()]);
  const lost = ingestAll(first, all, 4, 0).catch(() => []);
  const ingesting = ingestAll(second, all, 4, 0);
  await first.end('SIGKILL');
  await lost;
  expect(await ingesting).toHaveLength(DOCUMENTS);
});
