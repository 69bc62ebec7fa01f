/** /health, /ready and /metrics: for probes and Prometheus; no API key is asked for. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import type { Lifecycle } from '../lifecycle.js';
import type { ServerMetrics } from '../metrics/server-metrics.js';
import { HealthSchema, ReadySchema } from '../schemas/cache-schema.js';
import { responsesFor } from '../schemas/error-schema.js';
import { json } from '../schemas/response-forms.js';

const tags = ['operations'];
const healthSchema = {
  operationId: 'getHealth',
  tags,
  summary: 'The process lives',
  security: [],
  response: { 200: json(HealthSchema, 'It does.') },
};
const readySchema = {
  operationId: 'getReady',
  tags,
  summary: 'The model is loaded and requests are taken',
  security: [],
  response: { 200: json(ReadySchema, 'Ready.'), ...responsesFor(['not_ready', 'shutting_down']) },
};
const metricsSchema = {
  operationId: 'getMetrics',
  tags,
  summary: 'Metrics in the format of Prometheus',
  security: [],
  response: {
    200: Type.Unsafe({ description: 'All metrics.', content: { 'text/plain': { schema: { type: 'string' } } } }),
    ...responsesFor(['engine_failed', 'internal_error']),
  },
};

export const health: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle; metrics: ServerMetrics }> = async (
  app,
  { lifecycle, metrics },
) => {
  app.get('/health', { schema: healthSchema, logLevel: 'warn' }, async () => ({ status: 'ok' }));

  app.get('/ready', { schema: readySchema, logLevel: 'warn' }, async () => {
    return { status: 'ready', model: lifecycle.services().model.name };
  });

  app.get('/metrics', { schema: metricsSchema, logLevel: 'warn' }, async (_request, reply) => {
    return reply.type(metrics.registry.contentType).send(await metrics.render(lifecycle.servicesIfAny()));
  });
};
