import { describe, expect, test } from 'vitest';
import { CircuitBreaker } from '../../../src/cache/circuit-breaker.js';

const fails = () => Promise.reject(new Error('gone'));
const works = () => Promise.resolve(7);

function bench() {
  const clock = { nowMs: 0 };
  const changes: string[] = [];
  const breaker = new CircuitBreaker({
    threshold: 2,
    restMs: 100,
    timeoutMs: 20,
    now: () => clock.nowMs,
    onChange: (state, reason) => changes.push(`${state}: ${reason}`),
  });
  return { breaker, clock, changes };
}

describe('a circuit breaker', () => {
  test('hands results through, and says why there is none', async () => {
    const { breaker } = bench();
    expect(await breaker.run(works)).toEqual({ ok: true, result: 7 });
    expect(await breaker.run(fails)).toEqual({ ok: false, reason: 'gone' });
    expect(breaker.failures).toBe(1);
  });

  test('opens after failures in a row, leaves the store alone, and closes when a try succeeds', async () => {
    const { breaker, clock, changes } = bench();
    for (const call of [fails, works, fails, fails]) await breaker.run(call);
    expect(breaker.state).toBe('open');
    let asked = false;
    const spy = async () => {
      asked = true;
    };
    expect(await breaker.run(spy)).toEqual({ ok: false, reason: 'the store is given up for a while: gone' });
    expect(asked).toBe(false);
    clock.nowMs = 100;
    expect(breaker.state).toBe('half-open');
    expect(await breaker.run(works)).toEqual({ ok: true, result: 7 });
    expect(breaker.state).toBe('closed');
    expect(changes).toEqual(['open: gone', 'closed: gone']);
  });

  test('rests again when the try fails, and tries with one call at a time', async () => {
    const { breaker, clock } = bench();
    await breaker.run(fails);
    await breaker.run(fails);
    clock.nowMs = 150;
    const [first, second] = await Promise.all([breaker.run(fails), breaker.run(works)]);
    expect([first.ok, second.ok]).toEqual([false, false]);
    expect(breaker.state).toBe('open');
    clock.nowMs = 250;
    expect(breaker.state).toBe('half-open');
  });

  test('takes a call that hangs for one that failed', async () => {
    const { breaker } = bench();
    const hangs = () => new Promise<never>(() => {});
    expect(await breaker.run(hangs)).toEqual({ ok: false, reason: 'no answer within 20 ms' });
  });

  test('is not kept open by calls that were under way when it opened', async () => {
    const { breaker, clock } = bench();
    let end: (error: Error) => void = () => {};
    const slow = breaker.run(() => new Promise<never>((_, reject) => (end = reject)));
    await breaker.run(fails);
    await breaker.run(fails);
    clock.nowMs = 90;
    end(new Error('late'));
    await slow;
    clock.nowMs = 100;
    expect(breaker.state).toBe('half-open');
  });
});
