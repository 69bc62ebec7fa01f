/** Whether the engine is alive, on a clock that a test moves: deaths, starts that fail, pauses, the end. */
import { describe, expect, test } from 'vitest';
import type { EngineState } from '../../../../src/engine/engine.js';
import { HEALTHY_MS, MAX_FAILURES, WorkerLife } from '../../../../src/engine/host/worker-life.js';
import type { WorkerLink, WorkerListeners } from '../../../../src/engine/host/worker-link.js';

/** How the next worker starts: it does, it cannot, or when the test says so. */
type Start = 'up' | Error | Promise<void>;

function bench(starts: readonly Start[] = []) {
  const left = [...starts];
  let nowMs = 0;
  const workers: { listeners: WorkerListeners; link: WorkerLink; closed: boolean }[] = [];
  const told: EngineState[] = [];
  const pauses: number[] = [];
  /** Ends of the pauses that are under way. */
  const pausing: (() => void)[] = [];
  const lost: string[] = [];
  const lines: string[] = [];
  const ups: WorkerLink[] = [];
  let begun = 0;
  const life = new WorkerLife({
    startWorker: async (listeners) => {
      begun++;
      const how = left.shift() ?? 'up';
      if (how instanceof Error) throw how;
      if (how !== 'up') await how;
      const close = async () => {
        worker.closed = true;
      };
      const link: WorkerLink = { rowMultiple: 1, post: () => {}, close };
      const worker = { listeners, link, closed: false };
      workers.push(worker);
      return link;
    },
    logger: {
      info: (_, message) => void lines.push(message),
      error: (_, message) => void lines.push(message),
    },
    up: (link) => void ups.push(link),
    news: () => {},
    lost: async (error) => void lost.push(error.message),
    now: () => nowMs,
    pause: (ms, signal) =>
      new Promise((resolve) => {
        const end = () => {
          signal.removeEventListener('abort', end);
          resolve();
        };
        pauses.push(ms);
        pausing.push(end);
        signal.addEventListener('abort', end);
      }),
  });
  life.onChange((state) => told.push(state));
  return {
    ...{ life, workers, told, pauses, lost, lines, ups },
    begun: () => begun,
    later: (ms: number) => {
      nowMs += ms;
    },
    /** The worker that runs ends. */
    die: (why = 'it died') => (workers.at(-1) as (typeof workers)[number]).listeners.failed(new Error(why)),
    /** Lets every pause pass, and what follows it happen. */
    rest: async () => {
      for (let turn = 0; turn < 2 * MAX_FAILURES; turn++) {
        await settled();
        for (const end of pausing.splice(0)) end();
      }
      await settled();
    },
  };
}

/** All that waits for nothing but its turn has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

const names = (states: readonly EngineState[]) => states.map(({ name }) => name);

describe('a worker that ends', () => {
  test('is started again, whoever waits is told first, and listeners hear of both', async () => {
    const { life, told, lost, ups, rest, die } = bench();
    expect(life.state).toMatchObject({ name: 'restarting', reason: 'the engine is starting', restarts: 0 });
    await life.start();
    expect([life.state, life.link]).toEqual([{ name: 'running', reason: '', restarts: 0 }, ups[0]]);
    die('no memory');
    expect([life.state.name, life.state.reason, life.link]).toEqual([
      'restarting',
      'the engine worker ended: no memory',
      undefined,
    ]);
    await rest();
    expect(lost).toEqual(['no memory']);
    expect(life.state).toEqual({ name: 'running', reason: '', restarts: 1 });
    expect([ups.length, life.link]).toEqual([2, ups[1]]);
    expect(names(told)).toEqual(['running', 'restarting', 'running']);
  });

  test('is not started again before everything of it is over', async () => {
    const { life, begun, rest, die, lost } = bench();
    await life.start();
    die();
    expect([begun(), lost.length]).toEqual([1, 1]);
    await rest();
    expect(begun()).toBe(2);
  });

  test('that cannot be started again is tried with pauses that double, until it comes up', async () => {
    const { life, pauses, told, rest, die } = bench(['up', new Error('one'), new Error('two'), new Error('three')]);
    await life.start();
    die();
    await rest();
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000]);
    expect(life.state).toEqual({ name: 'running', reason: '', restarts: 4 });
    expect(told.map(({ reason }) => reason)).toContain('the engine worker cannot be started again: two');
  });

  test('five times in a row is down, says why, and stays down', async () => {
    const { life, pauses, lines, begun, rest, die, later } = bench();
    await life.start();
    for (let time = 1; time <= MAX_FAILURES; time++) {
      die(`time ${time}`);
      await rest();
      expect(life.state).toMatchObject({ name: 'running', restarts: time });
      later(HEALTHY_MS - 1);
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000]);
    die('once more');
    await rest();
    expect(life.state).toEqual({
      name: 'down',
      reason: expect.stringMatching(/once more \(5 starts in a row failed\)/),
      restarts: MAX_FAILURES,
    });
    expect(lines).toContain('engine is down and stays down');
    const before = begun();
    await rest();
    expect([begun(), life.link]).toEqual([before, undefined]);
  });

  test('whose starts fail five times in a row is down', async () => {
    const { life, begun, rest, die } = bench(['up', ...Array.from({ length: 9 }, () => new Error('no device'))]);
    await life.start();
    die();
    await rest();
    expect(life.state).toMatchObject({ name: 'down', reason: expect.stringContaining('no device'), restarts: 5 });
    expect(begun()).toBe(1 + MAX_FAILURES);
  });

  test('a minute or more after its start was no failure: deaths months apart do not add up', async () => {
    const { life, pauses, rest, die, later } = bench();
    await life.start();
    for (let time = 1; time <= 3 * MAX_FAILURES; time++) {
      later(time % 2 === 0 ? HEALTHY_MS : 30 * 24 * 3600 * 1000);
      die();
      await rest();
      expect(life.state).toMatchObject({ name: 'running', restarts: time });
    }
    expect(new Set(pauses)).toEqual(new Set([500]));
  });

  test('after a healthy life begins to count anew', async () => {
    const { life, pauses, rest, die, later } = bench();
    await life.start();
    for (const livedMs of [0, 0, 0, HEALTHY_MS, 0]) {
      later(livedMs);
      die();
      await rest();
    }
    expect([life.state.name, pauses]).toEqual(['running', [500, 1_000, 2_000, 500, 1_000]]);
  });
});

describe('closing', () => {
  test('ends the worker and starts no other', async () => {
    const { life, workers, begun, rest } = bench();
    await life.start();
    await life.close();
    await rest();
    expect([workers[0]?.closed, begun(), life.link]).toEqual([true, 1, undefined]);
  });

  test('in the pause before a start begins none', async () => {
    const { life, begun, pauses, die, rest } = bench();
    await life.start();
    die();
    await settled();
    expect(pauses).toEqual([500]);
    await life.close();
    await rest();
    expect(begun()).toBe(1);
  });

  test('while a worker starts waits for it and ends it', async () => {
    let comesUp: () => void = () => {};
    const starting = new Promise<void>((resolve) => (comesUp = resolve));
    const { life, workers, ups, begun, die, rest } = bench(['up', starting]);
    await life.start();
    die();
    await rest();
    expect(begun()).toBe(2);
    let closed = false;
    const closing = life.close().then(() => {
      closed = true;
    });
    await settled();
    expect(closed).toBe(false);
    comesUp();
    await closing;
    expect([workers[1]?.closed, ups.length, life.link]).toEqual([true, 1, undefined]);
  });

  test('while a start fails starts no other', async () => {
    let fail: (error: Error) => void = () => {};
    const failing = new Promise<void>((_, reject) => (fail = reject));
    const { life, begun, die, rest } = bench(['up', failing]);
    await life.start();
    die();
    await rest();
    const closing = life.close();
    fail(new Error('too late'));
    await closing;
    await rest();
    expect(begun()).toBe(2);
  });
});

test('a first start that fails says why, and is not tried again', async () => {
  const { life, begun, rest } = bench([new Error('no such model')]);
  await expect(life.start()).rejects.toThrow('no such model');
  await rest();
  expect([begun(), life.link]).toEqual([1, undefined]);
});

test('a worker that never gets ready keeps the engine restarting, not running', async () => {
  const never = new Promise<void>(() => {});
  const { life, told, die, rest } = bench(['up', never]);
  await life.start();
  die();
  await rest();
  expect(names(told)).toEqual(['running', 'restarting']);
  expect(life.state).toMatchObject({ name: 'restarting', restarts: 1 });
});

test('a listener that left hears nothing, and news of a worker that was lost is nobody’s', async () => {
  const heard: string[] = [];
  const { life, die, rest } = bench();
  const leave = life.onChange(({ name }) => heard.push(name));
  await life.start();
  leave();
  die();
  await rest();
  expect(heard).toEqual(['running']);
});
