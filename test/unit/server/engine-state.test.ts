import { afterEach, describe, expect, it, vi } from 'vitest';
import { loadConfig } from '../../../src/config.js';
import type { EngineState } from '../../../src/engine/engine.js';
import { buildApp } from '../../../src/server/app.js';
import { watchEngine } from '../../../src/server/engine-watch.js';
import { Lifecycle } from '../../../src/server/lifecycle.js';
import { ServerMetrics } from '../../../src/server/metrics/server-metrics.js';
import { FakeEngine } from '../../support/fake-engine.js';
import { fakeApp } from '../../support/fake-services.js';

const RUNNING: EngineState = { name: 'running', reason: '', restarts: 1 };
const RESTARTING: EngineState = { name: 'restarting', reason: 'the engine worker ended: out of memory', restarts: 1 };
const DOWN: EngineState = { ...RESTARTING, name: 'down' };

describe('probes', () => {
  it.each([
    [RUNNING, 200, 200],
    [RESTARTING, 503, 200],
    [DOWN, 503, 503],
  ])('while the engine is $name', async (state, ready, health) => {
    const { app, engine } = await fakeApp();
    engine.become(state);
    const answers = [await app.inject({ url: '/ready' }), await app.inject({ url: '/health' })];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([ready, health]);
    if (ready === 503) {
      expect(answers[0]?.json().error).toMatchObject({
        code: 'not_ready',
        message: expect.stringContaining('out of memory'),
      });
      expect(Number(answers[0]?.headers['retry-after'])).toBeGreaterThan(0);
    }
    if (health === 503) expect(answers[1]?.json().error.code).toBe('engine_failed');
    engine.become(RUNNING);
    expect((await app.inject({ url: '/ready' })).statusCode).toBe(200);
  });
});

describe('the log', () => {
  it('has no warning for probes and clients that come while the model loads or the server drains', async () => {
    const lines: { level: number; msg: string }[] = [];
    const stream = { write: (line: string) => void lines.push(JSON.parse(line)) };
    const config = loadConfig({}, {});
    const lifecycle = new Lifecycle();
    const metrics = new ServerMetrics('tiny');
    const app = await buildApp({ config, lifecycle, metrics, logger: { level: 'info', stream } });
    const payload = { messages: [{ role: 'user', content: 'Why?' }] };
    const poll = async () => [
      (await app.inject({ url: '/ready' })).statusCode,
      (await app.inject({ method: 'POST', url: '/v1/chat/completions', payload })).statusCode,
    ];
    expect(await poll()).toEqual([503, 503]);
    await lifecycle.drain(0);
    expect(await poll()).toEqual([503, 503]);
    expect(lines.some(({ msg }) => msg.includes('not ready'))).toBe(true);
    expect(lines.filter(({ level }) => level > 30)).toEqual([]);
  });
});

it('never tells clients why a start failed: the words name hosts and paths', async () => {
  const lifecycle = new Lifecycle();
  const app = await buildApp({ config: loadConfig({}, {}), lifecycle, metrics: new ServerMetrics('tiny') });
  lifecycle.failed();
  const { statusCode, json } = await app.inject({ url: '/ready' });
  expect(statusCode).toBe(503);
  expect(json().error).toMatchObject({
    code: 'not_ready',
    message: "The server is not ready: its start failed; the server's log says why",
  });
});

describe('/metrics', () => {
  it('has 1 for the state that the engine is in, and how often it was started again', async () => {
    const { app, engine } = await fakeApp();
    engine.become({ ...DOWN, restarts: 5 });
    const { payload } = await app.inject({ url: '/metrics' });
    for (const [state, value] of [
      ['running', 0],
      ['restarting', 0],
      ['down', 1],
    ]) {
      expect(payload).toContain(`blockstitch:engine_state{state="${state}",model_name="tiny"} ${value}`);
    }
    expect(payload).toContain('blockstitch:engine_restarts_total{model_name="tiny"} 5');
  });
});

describe('an engine that stays down', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  function watched(maxDownMs: number) {
    vi.useFakeTimers();
    const engine = new FakeEngine();
    const lines: string[] = [];
    const reasons: string[] = [];
    const line = (level: string) => (_details: object, message: string) => void lines.push(`${level}: ${message}`);
    const log = { info: line('info'), warn: line('warn'), error: line('error') };
    const stop = watchEngine(engine, { maxDownMs, log, giveUp: (reason) => reasons.push(reason) });
    return { engine, lines, reasons, stop };
  }

  it('is given up after --max-down, and each change is logged', () => {
    const { engine, lines, reasons } = watched(60_000);
    engine.become(RESTARTING);
    vi.advanceTimersByTime(600_000);
    engine.become(DOWN);
    vi.advanceTimersByTime(59_999);
    expect(reasons).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(reasons).toEqual([DOWN.reason]);
    expect(lines).toEqual(['warn: engine is restarting', 'error: engine is down']);
  });

  it('is not given up where another engine of the group runs again, where --max-down is 0, or after the end', () => {
    const again = watched(1000);
    again.engine.become(DOWN);
    again.engine.become(RUNNING);
    const never = watched(0);
    never.engine.become(DOWN);
    const ended = watched(1000);
    ended.engine.become(DOWN);
    ended.stop();
    vi.advanceTimersByTime(1_000_000);
    expect([again.reasons, never.reasons, ended.reasons]).toEqual([[], [], []]);
  });
});
