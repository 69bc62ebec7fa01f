/** Limits of keys over replicas: counts in a real Redis, and without it. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SharedCounts } from '../../../src/server/keys/minute-counts.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';

let redis: TestRedis;
let client: Redis;
let nowMs = 600_000;
const replica = () => new SharedCounts(client, { now: () => nowMs });

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url, { maxRetriesPerRequest: 1, retryStrategy: () => 20 });
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
});

test('two replicas count one key together, in minutes of the clock', async () => {
  const [one, two] = [replica(), replica()];
  expect(await one.add('key a', 2)).toMatchObject({ count: 2, secondsLeft: 60 });
  nowMs += 10_000;
  expect(await two.add('key a', 3)).toMatchObject({ count: 5, secondsLeft: 50 });
  expect((await two.add('key b', 1)).count).toBe(1);
  nowMs += 50_000;
  expect((await one.add('key a', 1)).count).toBe(1);
});

test('what is given back goes to the minute that it was counted in', async () => {
  const one = replica();
  const counted = await one.add('key c', 10);
  await one.giveBack('key c', 4, counted);
  expect((await one.add('key c', 1)).count).toBe(7);
  nowMs += 60_000;
  await one.add('key c', 5);
  await one.giveBack('key c', 6, counted);
  expect((await one.add('key c', 1)).count).toBe(6);
});

test('counts leave Redis by themselves', async () => {
  await replica().add('key d', 1);
  const [name = ''] = await client.keys('*key d*');
  expect(await client.pttl(name)).toBeGreaterThan(0);
});

test('a replica counts alone while Redis is gone, and gives back there', async () => {
  const lost = new Redis(redis.url, { maxRetriesPerRequest: 0, retryStrategy: () => null, lazyConnect: true });
  lost.on('error', () => undefined);
  await lost.connect();
  lost.disconnect();
  const alone = new SharedCounts(lost, { now: () => nowMs });
  const counted = await alone.add('key e', 5);
  expect(counted.count).toBe(5);
  await alone.giveBack('key e', 2, counted);
  for (let turn = 0; turn < 5; turn += 1) await alone.add('key e', 1);
  expect((await alone.add('key e', 1)).count).toBe(9);
});
