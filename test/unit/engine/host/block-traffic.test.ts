import { describe, expect, test } from 'vitest';
import type { BlockCache, SaveOutcome } from '../../../../src/cache/block-cache.js';
import type { PlacePayload } from '../../../../src/cache/block-codec.js';
import { BlockTraffic } from '../../../../src/engine/host/block-traffic.js';
import type { EngineCommand, SaveOrder } from '../../../../src/engine/wire/messages.js';

/** Something that is answered when the test says so. */
function later<T>() {
  let answer!: (value: T) => void;
  const promise = new Promise<T>((resolve) => (answer = resolve));
  return { promise, answer };
}

/** All that is waiting to happen has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

const never = (): never => {
  throw new Error('this must not be asked for');
};

interface More {
  hold?: BlockCache['hold'];
  computed?: () => Promise<SaveOutcome>;
  writePages?: (payload: Uint8Array) => Promise<number>;
  maxSavingBytes?: number;
}

function bench(more: More) {
  const posted: EngineCommand[] = [];
  const copies = { out: later<number>(), in: later<number>() };
  const released: string[] = [];
  const cache: Pick<BlockCache, 'hold' | 'computed'> = {
    hold: more.hold ?? (async () => ({ found: false, release: async () => void released.push('lease') })),
    computed: async (_key, read) => {
      const value = await read();
      return value === undefined ? { durable: true } : (more.computed?.() ?? { durable: true });
    },
  };
  const traffic = new BlockTraffic({
    addon: {
      payloadBytes: (_, tokens) => tokens * 10,
      readPages: () => copies.out.promise,
      writePages: (_pool, _pages, _tokens, payload) => more.writePages?.(payload) ?? copies.in.promise,
    },
    poolId: 1,
    cache,
    post: (command) => posted.push(command),
    prefillMs: () => undefined,
    maxSavingBytes: more.maxSavingBytes ?? 1_000,
  });
  return { traffic, posted, copies, released };
}

const order = (key: string, durable = false, tokens = 10): SaveOrder => ({
  ...{ key, durable, tokens, forgotten: [], stay: key.charCodeAt(0), pages: Int32Array.of(0) },
});
const transfer = { stay: 7, key: 'k', pages: Int32Array.of(3), tokens: 4, patient: false };

/** Of a load: that it was measured. */
const TOOK = { findMs: expect.any(Number), loadMs: expect.any(Number) };

describe('loading', () => {
  test('fills the pages before the worker is told', async () => {
    const value = { tokens: 4, payload: new Uint8Array(40) };
    const { traffic, posted, copies } = bench({
      hold: async () => ({ found: true, tier: 'store', value, placed: false, loadMs: 1 }),
    });
    const loading = traffic.load(transfer);
    await settled();
    expect(posted).toEqual([]);
    copies.in.answer(0);
    await loading;
    expect(posted).toEqual([{ type: 'settled', stay: 7, tier: 'store', took: TOOK }]);
  });

  test('is told where the value goes, and copies nothing that was placed there', async () => {
    const payload = new Uint8Array(40);
    const { traffic, posted, copies } = bench({
      hold: async (_key, wanted) => {
        const sum = await wanted?.place?.(4, payload);
        return { found: true, tier: 'store', value: undefined, placed: sum === 17 || never(), loadMs: 1 };
      },
    });
    const loading = traffic.load(transfer);
    await settled();
    expect(posted).toEqual([]);
    copies.in.answer(17);
    await loading;
    expect(posted).toEqual([{ type: 'settled', stay: 7, tier: 'store', took: TOOK }]);
  });

  test('writes no payload that comes when the load was given up, and waits for the copy under way', async () => {
    let place: PlacePayload = never;
    const { traffic, posted, copies } = bench({
      hold: async (_key, wanted) => {
        place = wanted?.place ?? never;
        void place(4, new Uint8Array(40));
        await settled();
        return { found: false, release: async () => undefined };
      },
    });
    const loading = traffic.load(transfer);
    await settled();
    await settled();
    // The pages may not be computed yet: a late value is still on its way into them.
    expect(posted).toEqual([]);
    copies.in.answer(17);
    await loading;
    expect(posted).toMatchObject([{ type: 'settled', stay: 7, tier: undefined }]);
    expect(await place(4, new Uint8Array(40))).toBeUndefined();
  });

  test('copies one payload after another into its pages, and is over when no copy runs, however many came at once', async () => {
    const running = new Set<number>();
    const begun: number[] = [];
    let ended = later<void>();
    const { traffic, posted } = bench({
      hold: async (_key, wanted) => {
        const place = wanted?.place ?? never;
        const all = [1, 2, 3].map((each) => place(4, new Uint8Array(40).fill(each)));
        await all[0];
        return { found: false, release: async () => undefined };
      },
      writePages: async (payload) => {
        const each = payload[0] as number;
        begun.push(each);
        running.add(each);
        expect(running.size).toBe(1);
        await ended.promise;
        running.delete(each);
        return each;
      },
    });
    const loading = traffic.load(transfer);
    await settled();
    expect(begun).toEqual([1]);
    const first = ended;
    ended = later();
    first.answer();
    await settled();
    // The second one had its turn before the load was over; the third one may not begin any more.
    expect(begun).toEqual([1, 2]);
    expect(posted).toEqual([]);
    ended.answer();
    await loading;
    expect(running.size).toBe(0);
    expect(begun).toEqual([1, 2]);
  });

  test('places nothing of another length', async () => {
    const placed: (number | undefined)[] = [];
    const { traffic, posted } = bench({
      hold: async (_key, wanted) => {
        placed.push(await wanted?.place?.(5, new Uint8Array(50)), await wanted?.place?.(4, new Uint8Array(39)));
        return { found: false, release: async () => undefined };
      },
    });
    await traffic.load(transfer);
    expect(placed).toEqual([undefined, undefined]);
    expect(posted).toMatchObject([{ tier: undefined }]);
  });

  test('takes a value of other length for a miss', async () => {
    const value = { tokens: 5, payload: new Uint8Array(50) };
    const { traffic, posted } = bench({
      hold: async () => ({ found: true, tier: 'store', value, placed: false, loadMs: 1 }),
    });
    await traffic.load(transfer);
    expect(posted).toEqual([{ type: 'settled', stay: 7, tier: undefined, took: TOOK }]);
  });

  test('takes a cache that throws for a miss', async () => {
    const { traffic, posted } = bench({ hold: () => Promise.reject(new Error('broken')) });
    await traffic.load(transfer);
    expect(posted).toEqual([{ type: 'settled', stay: 7, tier: undefined }]);
  });

  test('gives the right to compute back when the block is given up', async () => {
    const { traffic, released } = bench({});
    await traffic.load(transfer);
    expect(released).toEqual([]);
    await traffic.abandon(7);
    await traffic.abandon(7);
    expect(released).toEqual(['lease']);
  });

  test('closing waits for a copy into pages that is under way: they may be given to others after', async () => {
    const value = { tokens: 4, payload: new Uint8Array(40) };
    const { traffic, copies } = bench({
      hold: async () => ({ found: true, tier: 'store', value, placed: false, loadMs: 1 }),
    });
    void traffic.load(transfer);
    await settled();
    let closed = false;
    const closing = traffic.close().then(() => (closed = true));
    await settled();
    expect(closed).toBe(false);
    copies.in.answer(0);
    await closing;
    expect(closed).toBe(true);
  });
});

describe('saving', () => {
  test('frees the pages once they are copied, and the lease once the block is durable', async () => {
    const saved = later<SaveOutcome>();
    const { traffic, posted, copies, released } = bench({ computed: () => saved.promise });
    await traffic.load({ ...transfer, stay: 'a'.charCodeAt(0) });
    traffic.save(order('a', true));
    const outcome = traffic.saved('a');
    await settled();
    expect(posted.filter(({ type }) => type === 'copied')).toEqual([]);
    copies.out.answer(0);
    await settled();
    expect(posted.at(-1)).toEqual({ type: 'copied', stay: 97 });
    expect(released).toEqual([]);
    saved.answer({ durable: true });
    expect(await outcome).toEqual({ durable: true });
    expect(released).toEqual(['lease']);
  });

  test('says why a block could not be stored', async () => {
    const { traffic, copies } = bench({ computed: async () => ({ durable: false, reason: 'the disk is full' }) });
    copies.out.answer(0);
    traffic.save(order('a', true));
    expect(await traffic.saved('a')).toEqual({ durable: false, reason: 'the disk is full' });
    expect(await traffic.saved('never asked for')).toMatchObject({ durable: false });
  });

  test('beyond its memory drops what nobody waits for, and makes others wait their turn', async () => {
    const saves: string[] = [];
    const first = later<SaveOutcome>();
    const { traffic, posted, copies } = bench({
      computed: async () => (saves.push('save') === 1 ? first.promise : { durable: true }),
      maxSavingBytes: 100,
    });
    copies.out.answer(0);
    traffic.save(order('a'));
    await settled();
    traffic.save(order('b'));
    traffic.save(order('c', true));
    await settled();
    expect(saves).toHaveLength(1);
    expect(posted.map((command) => 'stay' in command && command.stay)).toEqual([97, 98]);
    const waiting = traffic.saved('c');
    first.answer({ durable: true });
    expect(await waiting).toEqual({ durable: true });
    expect(saves).toHaveLength(2);
    expect(posted.map((command) => 'stay' in command && command.stay)).toEqual([97, 98, 99]);
  });

  test('stores a block once when it is asked for twice', async () => {
    let saves = 0;
    const { traffic, posted, copies } = bench({
      computed: async () => {
        saves++;
        return { durable: true };
      },
    });
    copies.out.answer(0);
    traffic.save(order('a'));
    traffic.save(order('a', true));
    expect(await traffic.saved('a')).toEqual({ durable: true });
    expect(saves).toBe(1);
    expect(posted).toHaveLength(2);
  });
});
