/**
 * /openapi.json, made from the routes' schemas, and /docs to read it in a browser without assets from elsewhere.
 * Knows titles and tags; each route has its own schemas.
 */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { API_VERSION } from '../api-version.js';
import { withComponents } from '../openapi-components.js';
import { responsesFor } from '../schemas/error-schema.js';
import { anyObject } from '../schemas/named.js';

const DOCS_POLICY = [
  "default-src 'none'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const documentation = fp(
  async (app: FastifyInstance) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Blockstitch',
          version: API_VERSION,
          description:
            'Answers over documents without prefilling the same passage twice. OpenAI-compatible: any OpenAI client works, with `documents` as an extra body field.',
          license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
        },
        servers: [
          { url: '/', description: 'The server that gave this document.' },
          { url: 'http://127.0.0.1:8080', description: '`make serve`.' },
        ],
        tags: [
          { name: 'generate', description: 'Answers and completions' },
          { name: 'documents', description: 'Ingest documents, see how they are cut' },
          { name: 'cache', description: 'What is cached where' },
          { name: 'models', description: 'What is served' },
          { name: 'operations', description: 'Probes, metrics, this document' },
        ],
        components: {
          securitySchemes: {
            apiKey: { type: 'http', scheme: 'bearer', description: 'Needed if the server has API keys.' },
          },
        },
        security: [{ apiKey: [] }],
      },
      convertConstToEnum: false,
      transformObject: (given) =>
        'openapiObject' in given ? withComponents(given.openapiObject) : given.swaggerObject,
      refResolver: { buildLocalReference: (json, _base, _fragment, index) => String(json.$id ?? `schema-${index}`) },
    });
    await app.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: DOCS_POLICY,
      uiConfig: { validatorUrl: null, deepLinking: true },
      logLevel: 'warn',
    });
    app.get(
      '/openapi.json',
      {
        logLevel: 'warn',
        schema: {
          operationId: 'getOpenApi',
          servers: [
            { url: '/', description: 'The server that gave this document.' },
            { url: 'http://127.0.0.1:8080', description: '`make serve`.' },
          ],
          tags: ['operations'],
          summary: 'This document',
          security: [],
          response: {
            200: {
              description: 'OpenAPI 3.1.',
              content: { 'application/json': { schema: anyObject(), example: { openapi: '3.1.0' } } },
            },
            ...responsesFor(['invalid_request']),
          },
        },
      },
      async () => app.swagger(),
    );
  },
  { name: 'documentation' },
);
