/** Counts responses by method, route pattern and status. The pattern, never the path: paths hold ids without end. */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { ServerMetrics } from '../metrics/server-metrics.js';

export const httpMetrics = fp<{ metrics: ServerMetrics }>(
  (app: FastifyInstance, { metrics }, done) => {
    app.addHook('onResponse', async (request, reply) => {
      const route = request.routeOptions.url ?? 'unknown';
      if (!route.startsWith('/docs')) metrics.response(request.method, route, reply.statusCode);
    });
    app.addHook('onRequest', async (request, reply) => {
      // A client that went away before its answer was whole: no response was sent, so onResponse says nothing.
      reply.raw.once('close', () => {
        if (!reply.raw.writableFinished) metrics.response(request.method, request.routeOptions.url ?? 'unknown', 499);
      });
    });
    done();
  },
  { name: 'http-metrics' },
);
