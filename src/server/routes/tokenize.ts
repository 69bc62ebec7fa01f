/**
 * POST /tokenize and /detokenize, where vLLM has them: what a prompt costs before it is asked. A chat is counted as
 * /v1/chat/completions would send it, with its documents.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { scopeDigest } from '../../cache/block-key.js';
import { BlockstitchError } from '../../errors.js';
import type { PromptPlan } from '../../prompt/prompt-plan.js';
import { checkPromptSize } from '../generation/prompt-limits.js';
import { attentionMode, checkModel } from '../generation/request-basics.js';
import { endOf, planChat } from '../generation/start-chat.js';
import type { Lifecycle } from '../lifecycle.js';
import { CHAT_ERRORS, errorResponses } from '../schemas/error-schema.js';
import * as examples from '../schemas/examples.js';
import { body, json } from '../schemas/response-forms.js';
import {
  DetokenizeAnswerSchema,
  DetokenizeBodySchema,
  TokenizeAnswerSchema,
  type TokenizeBody,
  TokenizeBodySchema,
} from '../schemas/tokenize-schema.js';
import type { Services } from '../services.js';

const tokenizeSchema = {
  operationId: 'tokenize',
  tags: ['generate'],
  summary: 'Count the tokens of a text or a chat',
  body: body(TokenizeBodySchema, examples.tokenizeRequest),
  response: {
    200: json(TokenizeAnswerSchema, 'The ids and their count.', examples.tokenized),
    ...errorResponses(['body'], [...CHAT_ERRORS, 'queue_full', 'client_closed']),
  },
};

const detokenizeSchema = {
  operationId: 'detokenize',
  tags: ['generate'],
  summary: 'Turn token ids into text',
  body: body(DetokenizeBodySchema, examples.detokenizeRequest),
  response: {
    200: json(DetokenizeAnswerSchema, 'The text.', examples.detokenized),
    ...errorResponses(['body'], ['model_not_found']),
  },
};

export const tokenize: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.post('/tokenize', { schema: tokenizeSchema }, async (request, reply) => {
    const services = lifecycle.services();
    const tokens = await idsOf(services, request.body, request, reply);
    return {
      count: tokens.length,
      max_model_len: services.model.config.maxPositions,
      tokens,
      ...(request.body.return_token_strs ? { token_strs: tokens.map((id) => services.text.tokenText(id)) } : {}),
    };
  });

  app.post('/detokenize', { schema: detokenizeSchema }, async (request) => {
    const { model, text } = lifecycle.services();
    const { tokens } = request.body;
    checkModel({ model }, request.body.model);
    const wrong = tokens.findIndex((id) => id >= model.config.vocabSize);
    if (wrong >= 0) {
      const param = `tokens[${wrong}]`;
      const reason = `\`${param}\` is ${tokens[wrong]}; ids go from 0 to ${model.config.vocabSize - 1}.`;
      throw new BlockstitchError('invalid_request', { reason }, { param });
    }
    const detokenizer = text.detokenizer({ showControl: true });
    return { prompt: tokens.map((id) => detokenizer.push(id)).join('') + detokenizer.flush() };
  });
};

async function idsOf(
  services: Services,
  body: TokenizeBody,
  request: Pick<FastifyRequest, 'clientSignal' | 'scope' | 'trace'>,
  reply: FastifyReply,
): Promise<number[]> {
  checkModel(services, body.model);
  const { prompt, messages, add_special_tokens: withSpecials = true, ...rest } = body;
  if ((prompt === undefined) === (messages === undefined)) {
    const reason = 'Send either `prompt` or `messages`.';
    throw new BlockstitchError('invalid_request', { reason }, { param: 'prompt' });
  }
  if (messages !== undefined) {
    const { plan } = await planChat(services, { ...rest, messages }, request, endOf(reply));
    return idsOfPlan(plan);
  }
  const text = prompt ?? '';
  checkPromptSize([text], 'prompt', services.config);
  const context = { tenant: scopeDigest(request.scope), signal: request.clientSignal };
  const plan = await services.prompts.completion({
    prompt: text,
    blocks: [],
    attention: attentionMode(services, body),
    ...context,
  });
  return withSpecials ? idsOfPlan(plan) : [...plan.finalTokenIds];
}

function idsOfPlan({ sinkTokenIds, blocks, finalTokenIds }: PromptPlan): number[] {
  return [sinkTokenIds, ...blocks.map(({ tokenIds }) => tokenIds), finalTokenIds].flatMap((ids) => [...ids]);
}
