/** Jobs over two servers on one Redis: who has no hands free leaves them to the other, each shows and ends the other's, and none is lost. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { startRedis, type TestRedis } from '../../support/redis-server.js';
import { endProcesses, type ServedProcess, serveProcess } from '../../support/served-process.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-shared-jobs-'));
const JOBS = 24;
const MOST_ROUNDS = 20;
const NAMES = ['Zokego', 'Tolefi', 'Sonako', 'Limoga', 'Rasubo', 'Kemira', 'Dovala', 'Penuto'];
let redis: TestRedis;
let first: ServedProcess;
let second: ServedProcess;
let documents = 0;

beforeEach(async () => {
  redis = await startRedis();
  const serve = () => serveProcess(home, ['--redis-url', redis.url]);
  [first, second] = await Promise.all([serve(), serve()]);
});
afterEach(async () => {
  await endProcesses();
  await redis.stop();
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Sends jobs with texts that nobody has seen. @returns their ids */
async function send(server: ServedProcess, count = JOBS): Promise<string[]> {
  const sent = Array.from({ length: count }, () => {
    const index = ++documents;
    const text = Array.from({ length: 60 }, (_, at) => {
      const year = index * 100 + at;
      return `${NAMES[year % 7]} of year ${year} is held in ${NAMES[(year * 5) % 8]}. ${NAMES[(year * 3) % 5]} hosts it.`;
    }).join(' ');
    return server.ask<{ id: string }>('POST', '/v1/documents', { id: `document-${index}`, text, background: true });
  });
  const answers = await Promise.all(sent);
  for (const { status } of answers) expect(status).toBe(202);
  return answers.map(({ json }) => json.id);
}

async function computedTokens({ url }: ServedProcess): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/ingested_tokens_total\{origin="computed",[^}]*\} (\d+)/.exec(metrics)?.[1] ?? 0);
}

test('both work on the jobs that one of them was sent, and either tells how each ends', async () => {
  for (let round = 0; round < MOST_ROUNDS && (await computedTokens(second)) === 0; round++) {
    const ids = await send(first);
    const ends = await Promise.all(ids.map((id, index) => (index % 2 === 0 ? first : second).jobEnds(id)));
    expect(ends).toEqual(ids.map(() => 'done'));
  }
  expect(await computedTokens(first)).toBeGreaterThan(0);
  expect(await computedTokens(second)).toBeGreaterThan(0);
  const { json } = await second.ask<{ status: string; blocks_done: number; blocks_total: number }>(
    'GET',
    `/v1/jobs/${(await send(first, 1))[0]}`,
  );
  expect(['running', 'done']).toContain(json.status);
});

test('what one has begun or only accepted goes on at the other when it is killed', async () => {
  const ids = await send(first);
  await first.end('SIGKILL');
  const ends = await Promise.all(ids.map((id) => second.jobEnds(id)));
  expect(ends).toEqual(ids.map(() => 'done'));
});

test('either ends the jobs of the other, and their documents do not come', async () => {
  const ids = await send(first);
  const answers = await Promise.all(
    ids.map((id) => second.ask<{ status: string; document_id: string }>('DELETE', `/v1/jobs/${id}`)),
  );
  for (const { status, json } of answers) {
    expect(status).toBe(200);
    expect(['cancelled', 'done']).toContain(json.status);
    const { status: found } = await first.ask('GET', `/v1/documents/${json.document_id}`);
    expect(found).toBe(json.status === 'done' ? 200 : 404);
  }
  expect(answers.filter(({ json }) => json.status === 'cancelled').length).toBeGreaterThan(0);
});
