/** Counts responses by method, route pattern and status, each route from its start. Paths are not labels: they hold ids, and there is no end of those. */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { ServerMetrics } from '../metrics/server-metrics.js';

export const httpMetrics = fp<{ metrics: ServerMetrics }>(
  (app: FastifyInstance, { metrics }, done) => {
    app.addHook('onRoute', ({ method, url }) => {
      for (const each of [method].flat()) if (!url.startsWith('/docs') && each !== 'HEAD') metrics.route(each, url);
    });
    app.addHook('onResponse', async (request, reply) => {
      const route = request.routeOptions.url ?? 'unknown';
      if (!route.startsWith('/docs')) metrics.response(request.method, route, reply.statusCode);
    });
    app.addHook('onRequest', async (request, reply) => {
      // The client went away before its answer was whole. fastify calls no onResponse then.
      reply.raw.once('close', () => {
        if (!reply.raw.writableFinished) metrics.response(request.method, request.routeOptions.url ?? 'unknown', 499);
      });
    });
    done();
  },
  { name: 'http-metrics' },
);
