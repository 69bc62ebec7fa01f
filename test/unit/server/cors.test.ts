import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config.js';
import { fakeApp } from '../../support/fake-services.js';

const PAGE = 'https://app.example';

async function served(settings: Parameters<typeof fakeApp>[0]) {
  const { app } = await fakeApp(settings);
  const preflight = (origin: string) =>
    app.inject({
      method: 'OPTIONS',
      url: '/v1/chat/completions',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
  return { app, preflight };
}

describe('--cors-origins', () => {
  it('answers the preflight of a named origin without asking for a key, and lets it read our headers', async () => {
    const { app, preflight } = await served({ corsOrigins: `${PAGE},http://localhost:3000`, apiKeys: ['secret'] });
    const allowed = await preflight(PAGE);
    expect(allowed.statusCode).toBe(204);
    expect(allowed.headers['access-control-allow-origin']).toBe(PAGE);
    expect(allowed.headers['access-control-allow-headers']).toContain('authorization');
    const refused = await app.inject({ method: 'GET', url: '/v1/models', headers: { origin: PAGE } });
    expect(refused.statusCode).toBe(401);
    expect(refused.headers['access-control-allow-origin']).toBe(PAGE);
    expect(refused.headers['access-control-expose-headers']).toContain('x-blockstitch-cached-tokens');
  });

  it('names no other origin', async () => {
    const { preflight } = await served({ corsOrigins: PAGE });
    expect((await preflight('https://evil.example')).headers['access-control-allow-origin']).toBeUndefined();
  });

  it('takes * for all origins', async () => {
    const { preflight } = await served({ corsOrigins: '*' });
    expect((await preflight(PAGE)).headers['access-control-allow-origin']).toBe('*');
  });

  it('is off by default, and the refusal of a preflight says how to turn it on', async () => {
    const { app, preflight } = await served({});
    const refused = await preflight(PAGE);
    expect(refused.statusCode).toBe(405);
    expect(refused.json().error).toMatchObject({
      code: 'cors_not_allowed',
      remedy: expect.stringContaining('--cors-origins'),
    });
    const plain = await app.inject({ method: 'GET', url: '/v1/models', headers: { origin: PAGE } });
    expect(plain.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('refuses what is no origin', () => {
    for (const corsOrigins of ['app.example', 'https://app.example/', 'https://app.example/path', 'https://a,,'])
      expect(() => loadConfig({ corsOrigins }, {}), corsOrigins).toThrow('--cors-origins');
  });
});
