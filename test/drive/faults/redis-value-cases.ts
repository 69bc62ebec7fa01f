/** Redis hands out something else than what was written: nothing of it may get into an answer. */
import type { FaultCase } from './case.js';
import { blockKeys, overRedis, refuses } from './redis-bench.js';
import { textOf } from './world.js';

export const REDIS_VALUE_CASES: readonly FaultCase[] = [
  {
    name: 'redis-bit-flipped',
    about: 'one bit of each block is flipped, 5 times',
    run: overRedis(async (bench) => {
      const { world, admin, traffic, url } = bench;
      let said = '';
      for (let time = 0; time < 5; time++) {
        const before = await world.metric(url, 'tier_corrupt_total');
        for (const key of await blockKeys(admin)) {
          const value = (await admin.getBuffer(key)) ?? Buffer.alloc(0);
          const at = world.draw(0, value.byteLength * 8 - 1);
          value[at >> 3] = (value[at >> 3] as number) ^ (1 << (at & 7));
          await admin.set(key, value);
        }
        said = await refuses(bench, before);
        await traffic.answered(10);
      }
      return said;
    }),
  },
  {
    name: 'redis-swapped',
    about: 'sound values of equal length change places, 5 times',
    run: overRedis(async (bench) => {
      const { world, admin, traffic, url } = bench;
      let said = '';
      for (let time = 0; time < 5; time++) {
        const before = await world.metric(url, 'tier_corrupt_total');
        const bySize = new Map<number, string[]>();
        for (const key of await blockKeys(admin)) {
          const size = await admin.strlen(key);
          bySize.set(size, [...(bySize.get(size) ?? []), key]);
        }
        for (const keys of bySize.values()) {
          const values = await Promise.all(keys.map((key) => admin.getBuffer(key)));
          for (const [at, key] of keys.entries()) await admin.set(key, values[(at + 1) % keys.length] as Buffer);
        }
        said = await refuses(bench, before);
        await traffic.answered(10);
      }
      return said;
    }),
  },
  {
    name: 'redis-wrong-model',
    about: 'values that a server with another KV type wrote stand under the keys of this one',
    run: overRedis(async (bench) => {
      const { world, admin, traffic, url, redis } = bench;
      const own = await blockKeys(admin);
      const other = await world.serve(['--redis-url', redis.url, '--kv-dtype', 'float32']);
      await world.ingest(other.url, 0, 'of the other');
      await other.kill('SIGTERM');
      const foreign = (await blockKeys(admin)).filter((key) => !own.includes(key));
      if (foreign.length === 0) throw new Error(`the other server wrote nothing of ${textOf(0).length} characters`);
      const before = await world.metric(url, 'tier_corrupt_total');
      for (const [at, key] of own.entries()) {
        await admin.set(key, (await admin.getBuffer(foreign[at % foreign.length] as string)) as Buffer);
      }
      const said = await refuses(bench, before);
      await traffic.answered(20);
      return said;
    }),
  },
];
