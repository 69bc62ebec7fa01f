import { expect, test } from 'vitest';
import { fakeApp } from '../../../support/fake-services.js';

test.each(['tier=pool', 'TIERS=pool', 'tiers=pool&all=1'])(
  'a flush with the unknown parameter of ?%s is refused and drops nothing',
  async (query) => {
    const { app, engine } = await fakeApp();
    const response = await app.inject({ method: 'DELETE', url: `/v1/cache?${query}` });
    expect(response.statusCode).toBe(400);
    expect(response.json().error).toMatchObject({ code: 'invalid_request' });
    expect(engine.evicted).toEqual([]);
    await app.close();
  },
);
