/** Gives each API request its trace, if traces are on. Knows when a request begins and ends; `tracing/` knows spans. */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { Tracing } from '../tracing/open-tracing.js';
import type { RequestTrace } from '../tracing/request-trace.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined while traces are off, and for routes that are not of the API. */
    trace: RequestTrace | undefined;
  }
}

export const traces = fp<{ tracing: Tracing | undefined }>(
  (app: FastifyInstance, { tracing }, done) => {
    app.decorateRequest('trace', undefined);
    if (tracing !== undefined) {
      app.addHook('onRequest', async (request, reply) => {
        const { url: route } = request.routeOptions;
        if (route === undefined || !route.startsWith('/v1/')) return;
        const trace = tracing.request(request.method, route, request.headers);
        request.trace = trace;
        reply.raw.once('close', () => trace.end(reply.raw.writableFinished ? reply.statusCode : 499));
      });
      app.addHook('onClose', () => tracing.close());
    }
    done();
  },
  { name: 'traces' },
);
