/** /health, /ready and /metrics: for probes and Prometheus; no API key is asked for. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import { BlockstitchError } from '../../errors.js';
import type { Lifecycle } from '../lifecycle.js';
import { takesOpenMetrics } from '../metrics/open-metrics.js';
import type { ServerMetrics } from '../metrics/server-metrics.js';
import { errorBody } from '../plugins/error-handler.js';
import { HealthSchema, ReadySchema } from '../schemas/cache-schema.js';
import { ErrorSchema, errorExample, responsesFor } from '../schemas/error-schema.js';
import * as examples from '../schemas/examples.js';
import { json } from '../schemas/response-forms.js';

const tags = ['operations'];
const healthSchema = {
  operationId: 'getHealth',
  tags,
  summary: 'The process lives, and the engine is not down',
  description: 'Also 200 while the model loads and while the engine restarts: the process helps itself then.',
  security: [],
  response: {
    200: json(HealthSchema, 'It does.', examples.health),
    400: responsesFor(['invalid_request'])[400],
    503: json(ErrorSchema, 'The engine is down and stays down: code `engine_failed`', errorExample('engine_failed')),
  },
};
const readySchema = {
  operationId: 'getReady',
  tags,
  summary: 'The model is loaded, the engine runs and requests are taken',
  security: [],
  response: {
    200: json(ReadySchema, 'Ready.', examples.ready),
    ...responsesFor(['invalid_request', 'not_ready', 'shutting_down']),
  },
};
const metricsSchema = {
  operationId: 'getMetrics',
  tags,
  summary: 'Metrics in the format of Prometheus',
  description: 'As OpenMetrics if `Accept` names it and traces are on: times to first token then name a trace.',
  security: [],
  response: {
    200: Type.Unsafe({
      description: 'All metrics.',
      content: {
        'text/plain': {
          schema: { type: 'string' },
          example: '# HELP blockstitch:num_requests_running Requests that are being answered\n',
        },
        'application/openmetrics-text': {
          schema: { type: 'string' },
          example: '# TYPE blockstitch:num_requests_running gauge\nblockstitch:num_requests_running 0\n# EOF\n',
        },
      },
    }),
    ...responsesFor(['invalid_request', 'engine_failed', 'internal_error']),
  },
};

export interface HealthOptions {
  lifecycle: Lifecycle;
  metrics: ServerMetrics;
  /** Whether there are traces that metrics can name: then OpenMetrics is given to who takes it. */
  traced: boolean;
}

export const health: FastifyPluginAsyncTypebox<HealthOptions> = async (app, { lifecycle, metrics, traced }) => {
  app.get('/health', { schema: healthSchema, logLevel: 'warn' }, async (_request, reply) => {
    const state = lifecycle.servicesIfAny()?.engine.state;
    if (state?.name !== 'down') return { status: 'ok' };
    metrics.error('engine_failed');
    return reply.code(503).send(errorBody(new BlockstitchError('engine_failed', { reason: state.reason })));
  });

  app.get('/ready', { schema: readySchema, logLevel: 'warn' }, async () => {
    const { engine, model, storeState } = lifecycle.services();
    if (engine.state.name !== 'running') throw new BlockstitchError('not_ready', { reason: engine.state.reason });
    return { status: 'ready', model: model.name, store: storeState() };
  });

  app.get('/metrics', { schema: metricsSchema, logLevel: 'warn' }, async (request, reply) => {
    if (traced && takesOpenMetrics(request.headers.accept)) {
      const { type, text } = await metrics.renderOpen(lifecycle.servicesIfAny());
      return reply.type(type).send(text);
    }
    return reply.type(metrics.registry.contentType).send(await metrics.render(lifecycle.servicesIfAny()));
  });
};
