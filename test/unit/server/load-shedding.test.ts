/** Load is shed when the event loop stays late or the heap is nearly full, and taken again afterwards. */
import fastify from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { errorHandler } from '../../../src/server/plugins/error-handler.js';
import { type LoadSheddingOptions, loadShedding } from '../../../src/server/plugins/load-shedding.js';

const apps: { close(): Promise<unknown> }[] = [];

async function app(options: LoadSheddingOptions) {
  const built = fastify();
  apps.push(built);
  await built.register(errorHandler);
  await built.register(loadShedding, options);
  built.get('/', async () => 'ok');
  await built.ready();
  return built;
}

/** Holds the event loop, as a computation on it would. */
function hold(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

/** Lets timers run that are due. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

afterEach(async () => {
  for (const each of apps.splice(0)) await each.close();
});

describe('load shedding', () => {
  it('refuses when the event loop stays late, and takes requests again when it does not', async () => {
    const server = await app({ maxDelayMs: 20, lateSamples: 2, sampleMs: 50 });
    for (let sample = 0; sample < 4; sample += 1) {
      hold(120);
      await turn();
    }
    const refused = await server.inject({ url: '/' });
    expect([refused.statusCode, refused.json().error.code]).toEqual([503, 'overloaded']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    await expect.poll(async () => (await server.inject({ url: '/' })).statusCode, { timeout: 15_000 }).toBe(200);
  });

  it('takes requests after a single late moment', async () => {
    const server = await app({ maxDelayMs: 20, lateSamples: 1000, sampleMs: 50 });
    hold(300);
    await turn();
    expect((await server.inject({ url: '/' })).statusCode).toBe(200);
  });

  it('refuses when the heap is nearly full', async () => {
    const server = await app({ sampleMs: 10, maxHeapShare: 0 });
    await expect.poll(async () => (await server.inject({ url: '/' })).statusCode).toBe(503);
    expect((await server.inject({ url: '/' })).json().error.message).toMatch(/heap is nearly full/);
  });
});
