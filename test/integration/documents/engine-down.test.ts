/** Documents while no engine runs: they can be read, listed and deleted, with every block. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../../support/demo-server.js';

let demo: DemoServer;
const ask = (method: string, path: string) => fetch(`${demo.url}${path}`, { method });

beforeAll(async () => {
  demo = await startDemoServer();
});
afterAll(() => demo.close());

test('a delete is whole without an engine, and nothing is registered without one', async () => {
  const { json } = await demo.post<{ blocks: { hash: string }[] }>('/v1/documents', {
    id: 'fair',
    text: 'Zokego is held in Limoga. Zokego is hosted by Sonako.',
  });
  const keys = json.blocks.map(({ hash }) => hash);
  const places = async () => (await demo.services.cache.find(keys)).flatMap(({ tiers }) => tiers);
  expect(await places()).toContain('store');
  await demo.services.engine.close();
  const refused = await demo.post('/v1/documents', { id: 'other', text: 'Tolefi works as a baker.' });
  expect(refused.status).toBe(503);
  expect((await ask('GET', '/v1/documents/fair')).status).toBe(200);
  expect((await ask('DELETE', '/v1/documents/fair')).status).toBe(200);
  expect(await places()).toEqual([]);
  expect((await ask('DELETE', '/v1/documents/fair')).status).toBe(404);
  const list = (await (await ask('GET', '/v1/documents')).json()) as { data: object[] };
  expect(list.data).toEqual([]);
});
