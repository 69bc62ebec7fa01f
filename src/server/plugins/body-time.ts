/**
 * A body must have arrived whole in a certain time, else 408: a sender that drips holds a connection. Routes that read their
 * body as a stream say so (`config: { streamsBody: true }`) and mind the time themselves. Headers have Node's own limit.
 */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { answerBrokenHttp } from './error-handler.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route takes its body piece by piece, for as long as its work takes. */
    streamsBody?: boolean;
  }
}

export const bodyTime = fp<{ readMs: number }>(
  (app: FastifyInstance, { readMs }, done) => {
    app.addHook('onRequest', async ({ raw, routeOptions }) => {
      const hasBody = raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length'] ?? 0) > 0;
      if (!hasBody || routeOptions.config.streamsBody) return;
      const timer = setTimeout(() => {
        if (raw.complete) return;
        const late = Object.assign(new Error('the body did not arrive in time'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
        answerBrokenHttp(late, raw.socket);
      }, readMs).unref();
      raw.once('close', () => clearTimeout(timer));
      raw.once('end', () => clearTimeout(timer));
    });
    done();
  },
  { name: 'body-time' },
);
