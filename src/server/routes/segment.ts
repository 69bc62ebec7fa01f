/** POST /v1/segment: how a text would be cut into blocks, and which of them are cached, without computing any. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { scopeDigest } from '../../cache/block-key.js';
import { checkDocumentText } from '../../documents/document-limits.js';
import type { PromptContext } from '../../prompt/document-blocks.js';
import type { Segment } from '../../segment/segmenter.js';
import { segmentOptions } from '../generation/segment-options.js';
import type { Lifecycle } from '../lifecycle.js';
import { LoopTurns } from '../loop-turns.js';
import { SegmentAnswerSchema, SegmentBodySchema } from '../schemas/document-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import * as examples from '../schemas/examples.js';
import { body, json } from '../schemas/response-forms.js';
import type { Services } from '../services.js';
import { type WireTier, wireOrigin } from '../wire-tiers.js';

const schema = {
  operationId: 'segmentText',
  tags: ['documents'],
  summary: 'Cut a text into blocks',
  body: body(SegmentBodySchema, examples.segmentRequest),
  response: {
    200: json(SegmentAnswerSchema, 'Blocks with offsets, token counts and boundary scores.', examples.segmentList),
    ...errorResponses(
      ['body'],
      ['empty_input', 'segmentation_invalid', 'segmenter_unusable', 'queue_full', 'client_closed'],
    ),
  },
};

/** A key takes some microseconds; a text may have thousands of blocks, and other requests are waiting. */
const KEYS_IN_A_TURN = 256;

export const segment: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  const turns = new LoopTurns();
  app.post('/v1/segment', { schema }, async (request) => {
    const services = lifecycle.services();
    const { text, segmentation, include_text: includeText, include_cache: includeCache } = request.body;
    checkDocumentText(text, 'text', services.config);
    const context = { tenant: scopeDigest(request.scope), signal: request.clientSignal };
    const segments = await services.segment(text, segmentOptions(segmentation), context);
    const cached = includeCache ? await cachedBlocks(services, turns, request, segments, context) : undefined;
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
        ...(cached === undefined ? {} : (cached.get(start) ?? { hash: null, tiers: [] })),
      })),
    };
  });
};

/**
 * The blocks that a chat makes of the text as its document, by the offset at which they start: keys, and the tiers that
 * hold them now. A segment without tokens is no block.
 */
async function cachedBlocks(
  services: Services,
  turns: LoopTurns,
  { body, scope }: Pick<FastifyRequest<{ Body: { text: string; title?: string } }>, 'body' | 'scope'>,
  segments: readonly Segment[],
  context: PromptContext,
): Promise<Map<number, { hash: string; tiers: WireTier[] }>> {
  const { engine, prompts, cache } = services;
  const { text, title } = body;
  const blocks = await prompts.documentBlocks({ text, segments, ...(title === undefined ? {} : { title }) }, context);
  const found = new Map<number, { hash: string; tiers: WireTier[] }>();
  for (let at = 0; at < blocks.length; at += KEYS_IN_A_TURN) {
    const some = blocks.slice(at, at + KEYS_IN_A_TURN);
    const keys = await turns.run(() =>
      some.map(({ tokenIds }) => engine.blockKey(tokenIds, prompts.sinkTokenIds, scope)),
    );
    context.signal?.throwIfAborted();
    const places = await cache.find(keys);
    for (const [index, { source }] of some.entries()) {
      const tiers = (places[index]?.tiers ?? []).map((tier) => wireOrigin(tier, cache.brand));
      found.set(source?.start ?? 0, { hash: keys[index] ?? '', tiers });
    }
  }
  return found;
}
