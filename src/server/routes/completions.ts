/** POST /v1/completions: a plain prompt, with or without cached blocks in front of it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { scopeDigest } from '../../cache/block-key.js';
import { checkDocumentCount, checkDocumentText } from '../../documents/document-limits.js';
import { BlockstitchError } from '../../errors.js';
import { promptTokens } from '../../prompt/prompt-plan.js';
import { type ServerEvent, sendEventStream } from '../event-stream.js';
import type { TokenEntry } from '../generation/choice-stream.js';
import { Choices } from '../generation/choices.js';
import { checkPromptSize } from '../generation/prompt-limits.js';
import { attentionMode, checkModel, repairOptions, streamError, unixSeconds } from '../generation/request-basics.js';
import { heldGrammar, requestedStructure } from '../generation/requested-structure.js';
import { choiceCount, samplingParams, stopStrings } from '../generation/sampling-params.js';
import { refuseUnsupportedFields } from '../generation/unsupported-fields.js';
import type { Lifecycle } from '../lifecycle.js';
import { CompletionAnswerSchema, type CompletionBody, CompletionBodySchema } from '../schemas/completion-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import { CompletionEventSchema } from '../schemas/event-schema.js';
import * as examples from '../schemas/examples.js';
import { body, jsonOrEvents } from '../schemas/response-forms.js';
import type { Services } from '../services.js';

const schema = {
  operationId: 'createCompletion',
  tags: ['generate'],
  summary: 'Continue a prompt behind cached blocks',
  body: body(CompletionBodySchema, examples.completionRequest),
  response: {
    200: jsonOrEvents(
      { schema: CompletionAnswerSchema, example: examples.completion },
      { schema: CompletionEventSchema, example: examples.completionEvent },
      'The text, or with `stream: true` its chunks.',
    ),
    ...errorResponses(
      ['body', 'engine'],
      ['empty_input', 'context_length_exceeded', 'model_not_found', 'client_closed'],
    ),
  },
};

export const completions: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.post('/v1/completions', { schema }, async (request, reply) => {
    const services = lifecycle.services();
    const { body } = request;
    const choices = await startCompletion(services, body, request, reply);
    const head = { id: `cmpl-${request.id}`, created: unixSeconds(), model: services.model.name };
    if (body.stream) {
      const chunks = completionChunks(choices, head, body, request.clientSignal);
      return sendEventStream(reply, chunks, streamError(services, request), () => choices.reportHeaders());
    }
    const collected = await choices.collect(request.clientSignal);
    reply.headers(choices.reportHeaders());
    return {
      ...head,
      object: 'text_completion',
      choices: collected.map(({ text, logprobs, reason }, index) => ({
        index,
        text,
        logprobs: body.logprobs === undefined ? null : wireLogprobs(logprobs, 0).wire,
        finish_reason: reason,
      })),
      usage: choices.usage(),
      blockstitch: choices.report(),
    };
  });
};

async function startCompletion(
  services: Services,
  body: CompletionBody,
  { id, clientSignal, scope }: Pick<FastifyRequest, 'id' | 'clientSignal' | 'scope'>,
  reply: FastifyReply,
): Promise<Choices> {
  refuseUnsupportedFields(body, 'completion');
  checkModel(services, body.model);
  const count = choiceCount(body, services.config);
  const stops = stopStrings(body, services.config);
  const { prompt, blocks } = promptAndBlocks(body, services);
  const plan = await services.prompts.completion({
    prompt,
    blocks,
    attention: attentionMode(services, body),
    tenant: scopeDigest(scope),
    signal: clientSignal,
  });
  const sampling = samplingParams(
    {
      body,
      ...(body.max_tokens === undefined ? {} : { maxTokens: { field: 'max_tokens', value: body.max_tokens } }),
      ...(body.logprobs === undefined ? {} : { topLogprobs: body.logprobs }),
      promptTokens: promptTokens(plan),
      promptField: 'prompt',
    },
    services.model,
    services.config,
  );
  const grammar = await heldGrammar(services, requestedStructure(body), reply, clientSignal);
  return new Choices(services, { label: id, plan, sampling, stops, count, scope, ...repairOptions(body), ...grammar });
}

/** @throws BlockstitchError `empty_input`, `payload_too_large`, `invalid_request` */
function promptAndBlocks(body: CompletionBody, { config, model }: Services) {
  const blocks = [...(body.blocks ?? [])];
  checkDocumentCount(blocks.length, 'blocks', config);
  blocks.forEach((block, index) => {
    checkDocumentText(block, `blocks[${index}]`, config);
  });
  const given = Array.isArray(body.prompt) && typeof body.prompt[0] === 'string' ? body.prompt[0] : body.prompt;
  const prompt = (given ?? blocks.pop() ?? '') as string | number[];
  if (prompt.length === 0) throw new BlockstitchError('empty_input', { what: 'prompt' }, { param: 'prompt' });
  if (typeof prompt === 'string') checkPromptSize([prompt], 'prompt', config);
  else {
    const wrong = prompt.find((tokenId) => tokenId >= model.config.vocabSize);
    if (wrong !== undefined) {
      const reason = `\`prompt\` names the token id ${wrong}; ids go from 0 to ${model.config.vocabSize - 1}.`;
      throw new BlockstitchError('invalid_request', { reason }, { param: 'prompt' });
    }
  }
  return { prompt, blocks };
}

async function* completionChunks(
  choices: Choices,
  head: { id: string; created: number; model: string },
  body: CompletionBody,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent> {
  let unfinished = body.n ?? 1;
  const offsets = new Map<number, number>();
  const withUsage = body.stream_options?.include_usage === true;
  const chunk = (index: number, text: string, rest: object = {}) => ({
    ...head,
    object: 'text_completion',
    choices: [{ index, text, logprobs: null, finish_reason: null, ...rest }],
    ...(withUsage ? { usage: null } : {}),
  });
  for await (const { index, event } of choices.stream(signal)) {
    if (event.type === 'text') {
      const { wire, end } = wireLogprobs(event.logprobs, offsets.get(index) ?? 0);
      offsets.set(index, end);
      yield { data: chunk(index, event.text, { logprobs: body.logprobs === undefined ? null : wire }) };
    } else if (event.type === 'finish') {
      unfinished -= 1;
      const last = chunk(index, '', { finish_reason: event.reason });
      yield { data: unfinished === 0 ? { ...last, blockstitch: choices.report() } : last };
    }
  }
  if (withUsage) yield { data: { ...head, object: 'text_completion', choices: [], usage: choices.usage() } };
  yield { data: '[DONE]' };
}

/** OpenAI's older logprobs, by columns. @param offset characters of the choice's text before the first entry */
function wireLogprobs(entries: readonly TokenEntry[], offset: number) {
  let end = offset;
  const offsets = entries.map(({ token }) => {
    const start = end;
    end += token.length;
    return start;
  });
  const wire = {
    tokens: entries.map(({ token }) => token),
    token_logprobs: entries.map(({ logprob }) => logprob),
    top_logprobs: entries.map(({ alternatives }) =>
      Object.fromEntries(alternatives.map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset: offsets,
  };
  return { wire, end };
}
