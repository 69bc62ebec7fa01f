/** POST /v1/segment: how a text would be cut into blocks, without computing any. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { scopeDigest } from '../../cache/block-key.js';
import { checkDocumentText } from '../../documents/document-limits.js';
import { segmentOptions } from '../generation/segment-options.js';
import type { Lifecycle } from '../lifecycle.js';
import { SegmentAnswerSchema, SegmentBodySchema } from '../schemas/document-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import * as examples from '../schemas/examples.js';
import { body, json } from '../schemas/response-forms.js';

const schema = {
  operationId: 'segmentText',
  tags: ['documents'],
  summary: 'Cut a text into blocks',
  body: body(SegmentBodySchema, examples.segmentRequest),
  response: {
    200: json(SegmentAnswerSchema, 'Blocks with offsets, token counts and boundary scores.', examples.segmentList),
    ...errorResponses(['body'], ['empty_input', 'segmentation_invalid', 'queue_full', 'client_closed']),
  },
};

export const segment: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.post('/v1/segment', { schema }, async (request) => {
    const services = lifecycle.services();
    const { text, segmentation, include_text: includeText } = request.body;
    checkDocumentText(text, 'text', services.config);
    const segments = await services.segment(text, segmentOptions(segmentation), {
      tenant: scopeDigest(request.scope),
      signal: request.clientSignal,
    });
    return {
      object: 'list',
      characters: text.length,
      tokens: segments.reduce((sum, { tokens }) => sum + tokens, 0),
      data: segments.map(({ start, end, tokens, boundaryScore, seam }) => ({
        start,
        end,
        tokens,
        boundary_score: boundaryScore,
        ...(seam ? { seam } : {}),
        ...(includeText ? { text: text.slice(start, end) } : {}),
      })),
    };
  });
};
