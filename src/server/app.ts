/**
 * The HTTP application, assembled: this file shows what runs, and in which order. start-server.ts listens, open-services.ts
 * loads the model.
 *
 * Words: route = a method and a path with its schemas; plugin = what every request passes; lifecycle = the server's state
 * and its running requests; services = what routes use; scope = tenant and salt, who shares cached blocks with whom;
 * drain = the time in which running requests may finish before the server ends; choice = one of the n answers of a request.
 *
 * Rooms: plugins/, routes/, schemas/ (the wire in TypeBox), generation/ (from a body to an answer), metrics/, playground/
 * (the page at /).
 */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { allowedOrigins, type Config, trustedProxies } from '../config.js';
import { MAX_ID_BYTES } from '../documents/document-limits.js';
import { KeyRing } from './keys/key-ring.js';
import type { MinuteCounts } from './keys/minute-counts.js';
import { LaterSerializers } from './later-serializers.js';
import type { Lifecycle } from './lifecycle.js';
import { loggingRequests } from './logged-request.js';
import type { ServerMetrics } from './metrics/server-metrics.js';
import { playground } from './playground/playground.js';
import { apiKeys } from './plugins/api-keys.js';
import { bodyTime } from './plugins/body-time.js';
import { clientLimits } from './plugins/client-limits.js';
import { crossOrigin } from './plugins/cors.js';
import { documentation } from './plugins/documentation.js';
import { answerBrokenHttp, answerFrameworkError, errorHandler } from './plugins/error-handler.js';
import { httpMetrics } from './plugins/http-metrics.js';
import { jsonBody } from './plugins/json-body.js';
import { loadShedding } from './plugins/load-shedding.js';
import { requestId, requestIds } from './plugins/request-ids.js';
import { runningRequests } from './plugins/running-requests.js';
import { securityHeaders } from './plugins/security-headers.js';
import { tenants } from './plugins/tenants.js';
import { traces } from './plugins/traces.js';
import { cache } from './routes/cache.js';
import { chatCompletions } from './routes/chat-completions.js';
import { completions } from './routes/completions.js';
import { documentBatch } from './routes/document-batch.js';
import { documents } from './routes/documents.js';
import { health } from './routes/health.js';
import { jobs } from './routes/jobs.js';
import { models } from './routes/models.js';
import { responses } from './routes/responses.js';
import { segment } from './routes/segment.js';
import { tokenize } from './routes/tokenize.js';
import type { Tracing } from './tracing/open-tracing.js';
import { validatorCompiler } from './validator.js';

export interface AppOptions {
  config: Config;
  lifecycle: Lifecycle;
  metrics: ServerMetrics;
  /** The API keys; those of the configuration by default. */
  keys?: KeyRing;
  /** Where keys are counted; in this process by default. */
  counts?: MinuteCounts;
  /** Where traces go, if anywhere. */
  tracing?: Tracing | undefined;
  /** The caller may have them compiled before they are needed. */
  serializers?: LaterSerializers;
  logger?: FastifyServerOptions['logger'];
}

/** A body must have arrived whole in this time, else 408. Answers may take any time. */
const BODY_READ_MS = 120_000;

export async function buildApp({
  config,
  lifecycle,
  metrics,
  keys,
  counts,
  tracing,
  serializers = new LaterSerializers(),
  logger = false,
}: AppOptions): Promise<FastifyInstance> {
  const app = fastify({
    schemaController: { compilersFactory: { buildSerializer: serializers.factory } },
    logger: loggingRequests(logger),
    genReqId: requestId,
    clientErrorHandler: answerBrokenHttp,
    frameworkErrors: answerFrameworkError,
    forceCloseConnections: 'idle',
    trustProxy: trustedProxies(config) ?? false,
    routerOptions: { maxParamLength: MAX_ID_BYTES, ignoreTrailingSlash: true },
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.server.maxConnections = config.maxConnections;

  await app.register(errorHandler, { onError: ({ code }) => metrics.error(code) });
  await app.register(requestIds);
  await app.register(httpMetrics, { metrics });
  await app.register(traces, { tracing });
  await app.register(securityHeaders);
  await app.register(crossOrigin, { origins: allowedOrigins(config) ?? [] });
  await app.register(bodyTime, { readMs: BODY_READ_MS });
  await app.register(jsonBody, config);
  await app.register(documentation);
  if (config.playground === 'on') await app.register(playground, config);

  await app.register(health, { lifecycle, metrics, traced: tracing !== undefined });
  const ring = keys ?? (await KeyRing.ofConfig(config));
  metrics.tenants.namedBy(ring);
  await app.register(async (api) => {
    await api.register(apiKeys, { keys: ring, maxFailures: config.maxKeyFailures });
    await api.register(clientLimits, {
      requestsPerMinute: config.requestsPerMinute,
      ...(counts === undefined ? {} : { counts }),
    });
    await api.register(tenants);
    await api.register(loadShedding);
    await api.register(runningRequests, { lifecycle });

    await api.register(chatCompletions, { lifecycle });
    await api.register(completions, { lifecycle });
    await api.register(documents, { lifecycle });
    await api.register(documentBatch, { lifecycle });
    await api.register(jobs, { lifecycle });
    await api.register(responses, { lifecycle });
    await api.register(tokenize, { lifecycle });
    await api.register(segment, { lifecycle });
    await api.register(cache, { lifecycle });
    await api.register(models, { lifecycle });
  });
  return app;
}
