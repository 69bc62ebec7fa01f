/** What GET /v1/models says of a model and of the adapter that is merged into it. */
import { expect, test } from 'vitest';
import { fakeApp, MODEL } from '../../../support/fake-services.js';

async function shown(fields: object) {
  const { app, services } = await fakeApp();
  services.model = { ...MODEL, ...fields };
  const { data } = (await app.inject({ url: '/v1/models' })).json();
  const single = (await app.inject({ url: `/v1/models/${data[0].id}` })).json();
  await app.close();
  expect([single]).toEqual(data);
  return single;
}

test('a model without an adapter has its checkpoint as root and no parent', async () => {
  expect(await shown({ checkpointDir: '/models/Llama-3' })).toMatchObject({
    id: 'tiny',
    root: 'Llama-3',
    parent: null,
  });
  expect(await shown({ checkpointDir: '/models/Llama-3.Q4_1.gguf' })).toMatchObject({ root: 'Llama-3.Q4_1' });
});

test('a model with an adapter has the adapter as root and its checkpoint as parent', async () => {
  const fields = { name: 'support', checkpointDir: '/models/Llama-3', adapterDir: '/secret/support-lora' };
  const model = await shown(fields);
  expect(model).toMatchObject({ id: 'support', root: 'support-lora', parent: 'Llama-3' });
  expect(JSON.stringify(model)).not.toMatch(/secret/);
});
