/**
 * The spans of one request, in the names of OpenTelemetry. Spans hold times, counts and names of tiers: no text, key or salt.
 * Knows what a request goes through; `open-tracing.ts` knows where spans go.
 */
import {
  type Attributes,
  context,
  type Span,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { ChoiceEvent } from '../generation/choice-stream.js';
import type { Prefilled } from '../metrics/server-metrics.js';

/** Milliseconds of `performance.now()`, which OpenTelemetry takes as a time. */
type Time = number;

export class RequestTrace {
  constructor(
    private readonly tracer: Tracer,
    private readonly server: Span,
  ) {}

  /** Names the trace where traces are looked at; undefined if this one is not kept. */
  get traceId(): string | undefined {
    const { traceId, traceFlags } = this.server.spanContext();
    return (traceFlags & TraceFlags.SAMPLED) === 0 ? undefined : traceId;
  }

  /** A span of the request that begins and ends at times of `performance.now()`. */
  part(name: string, startTime: Time, endTime: Time, attributes: Attributes = {}): void {
    const parent = trace.setSpan(context.active(), this.server);
    this.tracer.startSpan(name, { startTime, attributes }, parent).end(endTime);
  }

  /** Measures work as one span, also if it fails. */
  async timed<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const started = performance.now();
    try {
      return await work();
    } finally {
      this.part(name, started, performance.now());
    }
  }

  /** Passes a choice's events on, and makes its spans: queue, find, load, prefill, decode. */
  async *choice(events: AsyncGenerator<ChoiceEvent>): AsyncGenerator<ChoiceEvent> {
    let reached = performance.now();
    let decoding = false;
    let tokens = 0;
    try {
      for await (const event of events) {
        if (event.type === 'prefilled') {
          this.prefilled(event, reached);
          reached = performance.now();
          decoding = true;
        } else if (event.type === 'finish') tokens = event.generatedTokens;
        yield event;
      }
    } finally {
      if (decoding) this.part('decode', reached, performance.now(), { 'gen_ai.usage.output_tokens': tokens });
    }
  }

  /** @param status of the answer; 499 where the client has left */
  end(status: number): void {
    this.server.setAttribute('http.response.status_code', status);
    if (status >= 500) this.server.setStatus({ code: SpanStatusCode.ERROR });
    this.server.end();
  }

  private prefilled({ queueMs, findMs, loadMs, prefillMs, blocks, promptTokens, cachedTokens }: Prefilled, from: Time) {
    const admitted = from + queueMs;
    const found = admitted + findMs;
    const loaded = found + loadMs;
    const counts: Record<string, number> = {};
    for (const { origin } of blocks) {
      const name = `blockstitch.blocks.${origin}`;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    this.part('queue', from, admitted);
    if (findMs > 0) this.part('find', admitted, found, counts);
    if (loadMs > 0) this.part('load', found, loaded);
    const tokens = { 'gen_ai.usage.input_tokens': promptTokens, 'blockstitch.cached_tokens': cachedTokens };
    this.part('prefill', loaded, Math.max(loaded, admitted + prefillMs), { ...counts, ...tokens });
  }
}
