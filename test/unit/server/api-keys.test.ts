import { describe, expect, it } from 'vitest';
import { tenantId } from '../../../src/server/keys/key-ring.js';
import { fakeApp } from '../../support/fake-services.js';

type App = Awaited<ReturnType<typeof fakeApp>>['app'];

/** The status of a small request with a key from an address. */
async function status(app: App, key: string | undefined, { from = '10.0.0.1', forwarded = '' } = {}): Promise<number> {
  const response = await app.inject({
    url: '/v1/models',
    remoteAddress: from,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(forwarded === '' ? {} : { 'x-forwarded-for': forwarded }),
    },
  });
  return response.statusCode;
}

async function statuses(app: App, keys: readonly (string | undefined)[], from = '10.0.0.1'): Promise<number[]> {
  const all: number[] = [];
  for (const key of keys) all.push(await status(app, key, { from }));
  return all;
}

const random = (count: number) => Array.from({ length: count }, (_, number) => `guess-${number}`);

describe('the rate limit', () => {
  it('counts by the key that was checked: made-up keys neither get a count of their own nor spend that of another', async () => {
    const { app } = await fakeApp({ requestsPerMinute: 3, apiKeys: ['honest', 'other'], maxKeyFailures: 0 });
    expect(await statuses(app, ['honest', 'honest'])).toEqual([200, 200]);
    expect(new Set(await statuses(app, random(20_000)))).toEqual(new Set([401]));
    expect(await statuses(app, ['honest', 'honest', 'other'])).toEqual([200, 429, 200]);
  });

  it('counts by address where there are no keys, whatever bearer a client makes up', async () => {
    const { app } = await fakeApp({ requestsPerMinute: 2 });
    expect(await statuses(app, ['a', 'b', 'c', undefined])).toEqual([200, 200, 429, 429]);
    expect(await statuses(app, ['a'], '10.0.0.2')).toEqual([200]);
  });

  it('takes all addresses of one IPv6 network for one client', async () => {
    const { app } = await fakeApp({ requestsPerMinute: 2 });
    const all: number[] = [];
    for (let host = 1; host <= 4; host += 1) all.push(await status(app, undefined, { from: `2001:db8::${host}` }));
    expect(all).toEqual([200, 200, 429, 429]);
  });

  it('says what is left, and when to come again', async () => {
    const { app } = await fakeApp({ requestsPerMinute: 1 });
    const [taken, refused] = [await app.inject({ url: '/v1/models' }), await app.inject({ url: '/v1/models' })];
    expect(taken.headers).toMatchObject({
      'x-ratelimit-limit-requests': '1',
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '60s',
    });
    expect(refused.json().error).toMatchObject({
      code: 'rate_limit_exceeded',
      message: 'The limit of 1 requests a minute is reached.',
    });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(50);
  });
});

describe('wrong keys', () => {
  it('are limited by address: beyond the limit even the right key is not told from a wrong one', async () => {
    const { app } = await fakeApp({ apiKeys: ['right'], maxKeyFailures: 3 });
    expect(await statuses(app, [...random(4), 'right'])).toEqual([401, 401, 401, 429, 429]);
    expect(await statuses(app, ['right'], '10.0.0.2')).toEqual([200]);
  });

  it('do not shut out who came with a right key from that address before', async () => {
    const { app } = await fakeApp({ apiKeys: ['right', 'second'], maxKeyFailures: 3 });
    expect(await statuses(app, ['right', ...random(5), 'right', 'second'])).toEqual([
      200, 401, 401, 401, 429, 429, 200, 429,
    ]);
  });

  it('are not counted where no key is sent: nothing is guessed then', async () => {
    const { app } = await fakeApp({ apiKeys: ['right'], maxKeyFailures: 3 });
    expect(await statuses(app, [...Array<undefined>(10), 'right'])).toEqual([...Array(10).fill(401), 200]);
  });
});

describe('behind a proxy', () => {
  const two = async (trustProxy: string, from: string) => {
    const { app } = await fakeApp({ requestsPerMinute: 1, trustProxy });
    const ask = (forwarded: string) => status(app, undefined, { from, forwarded });
    return [await ask('198.51.100.1'), await ask('198.51.100.2'), await ask('198.51.100.2')];
  };

  it('x-forwarded-for is believed from the proxies that are named, and from nobody else', async () => {
    expect(await two('', '10.0.0.1')).toEqual([200, 429, 429]);
    expect(await two('10.0.0.0/8, loopback', '10.0.0.1')).toEqual([200, 200, 429]);
    expect(await two('10.0.0.0/8', '203.0.113.1')).toEqual([200, 429, 429]);
  });

  it.each(['yes', '10.0.0.0/33', '1', '::1/200'])('refuses --trust-proxy %s', async (trustProxy) => {
    await expect(fakeApp({ trustProxy })).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe('the tenant of a key', () => {
  it('is the same for the same key, another for another, and says nothing of the key', () => {
    expect(tenantId('secret')).toBe(tenantId('secret'));
    expect(tenantId('secret')).not.toBe(tenantId('secret2'));
    expect(tenantId('secret')).toMatch(/^[0-9a-f]{32}$/);
  });
});
