/**
 * OpenTelemetry traces by the official SDK, sent as OTLP over HTTP. Off without an endpoint: then nothing of the SDK is loaded.
 * The SDK reads its own variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER and the like).
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Context } from '@opentelemetry/api';
import { API_VERSION } from '../api-version.js';
import { RequestTrace } from './request-trace.js';

export interface Tracing {
  /** @param route pattern, not path: paths hold ids @param headers may bring the client's trace (W3C traceparent) */
  request(method: string, route: string, headers: IncomingHttpHeaders): RequestTrace;
  /** Sends what is left; a collector that does not answer is not waited for. */
  close(): Promise<void>;
}

/** A collector gets so long for one export, and at the end. */
const EXPORT_MS = 2000;

/**
 * @param endpoint base URL of a collector, such as http://127.0.0.1:4318; `/v1/traces` is added
 * @param onError an export failed; the spans are lost, requests go on
 */
export async function openTracing(endpoint: string, onError: (error: unknown) => void): Promise<Tracing> {
  const { ROOT_CONTEXT, SpanKind, defaultTextMapGetter } = await import('@opentelemetry/api');
  const { setGlobalErrorHandler, W3CTraceContextPropagator } = await import('@opentelemetry/core');
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  const { BasicTracerProvider, BatchSpanProcessor } = await import('@opentelemetry/sdk-trace-base');
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  setGlobalErrorHandler(onError);
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`;
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'blockstitch', 'service.version': API_VERSION }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url, timeoutMillis: EXPORT_MS }))],
  });
  const tracer = provider.getTracer('blockstitch', API_VERSION);
  const propagator = new W3CTraceContextPropagator();
  return {
    request(method, route, headers) {
      const parent: Context = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
      const attributes = { 'http.request.method': method, 'http.route': route };
      const span = tracer.startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
      return new RequestTrace(tracer, span);
    },
    async close() {
      const late = new Promise<void>((resolve) => setTimeout(resolve, EXPORT_MS).unref());
      await Promise.race([provider.shutdown().catch(onError), late]);
    },
  };
}
