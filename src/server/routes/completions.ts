/** POST /v1/completions: a plain prompt, with or without cached blocks in front of it. */
import { isUtf8 } from 'node:buffer';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { scopeDigest } from '../../cache/block-key.js';
import { settingLabel } from '../../config.js';
import { checkDocumentCount, checkDocumentText } from '../../documents/document-limits.js';
import { BlockstitchError } from '../../errors.js';
import { type PromptPlan, promptTokens } from '../../prompt/prompt-plan.js';
import { type ServerEvent, sendEventStream } from '../event-stream.js';
import type { TokenEntry } from '../generation/choice-stream.js';
import { Choices } from '../generation/choices.js';
import { checkPromptSize } from '../generation/prompt-limits.js';
import { PromptSet } from '../generation/prompt-set.js';
import { attentionMode, checkModel, repairOptions, streamError, unixSeconds } from '../generation/request-basics.js';
import { heldGrammar, requestedStructure } from '../generation/requested-structure.js';
import { choiceCount, samplingParams, shareOfKey, stopStrings } from '../generation/sampling-params.js';
import { refuseUnsupportedFields } from '../generation/unsupported-fields.js';
import type { Lifecycle } from '../lifecycle.js';
import {
  CompletionAnswerSchema,
  type CompletionBody,
  CompletionBodySchema,
  MOST_PROMPTS,
} from '../schemas/completion-schema.js';
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
        logprobs: body.logprobs === undefined ? null : wireLogprobs(logprobs),
        finish_reason: reason,
      })),
      usage: choices.usage(),
      blockstitch: await choices.report(),
    };
  });
};

async function startCompletion(
  services: Services,
  body: CompletionBody,
  request: Pick<FastifyRequest, 'id' | 'clientSignal' | 'scope' | 'trace' | 'chargeTokens' | 'keyHolder'>,
  reply: FastifyReply,
): Promise<PromptSet> {
  const { id, clientSignal, scope, trace } = request;
  refuseUnsupportedFields(body, 'completion');
  checkModel(services, body.model);
  const count = choiceCount(body, services.config);
  const stops = stopStrings(body, services.config);
  const { prompts, blocks } = promptsAndBlocks(body, services);
  checkPromptCount(prompts.length, count, services.config);
  const context = { attention: attentionMode(services, body), tenant: scopeDigest(scope), signal: clientSignal };
  const plans = await Promise.all(prompts.map((prompt) => services.prompts.completion({ prompt, blocks, ...context })));
  const samplingOf = (plan: PromptPlan) =>
    samplingParams(
      {
        body,
        ...(body.max_tokens === undefined ? {} : { maxTokens: { field: 'max_tokens', value: body.max_tokens } }),
        ...(body.logprobs === undefined ? {} : { topLogprobs: body.logprobs }),
        promptTokens: promptTokens(plan),
        promptField: 'prompt',
        ...shareOfKey(request.keyHolder, count * plans.length),
      },
      services.model,
      services.config,
    );
  const runs = plans.map((plan) => ({ plan, sampling: samplingOf(plan) }));
  const grammar = await heldGrammar(services, requestedStructure(body), reply, clientSignal);
  const rest = { stops, count, scope, trace, ...repairOptions(services, body), ...grammar };
  const choices = runs.map((run, at) => {
    return new Choices(services, { label: runs.length === 1 ? id : `${id}-p${at}`, ...run, ...rest });
  });
  const all = new PromptSet(choices as [Choices, ...Choices[]], count);
  const prompted = plans.reduce((sum, plan) => sum + promptTokens(plan), 0);
  await request.chargeTokens(prompted, all.mostTokens, () => all.tokensSoFar);
  return all;
}

/** @throws BlockstitchError `empty_input`, `payload_too_large`, `invalid_request` */
function promptsAndBlocks(body: CompletionBody, { config, model }: Services) {
  const blocks = [...(body.blocks ?? [])];
  checkDocumentCount(blocks.length, 'blocks', config);
  blocks.forEach((block, index) => {
    checkDocumentText(block, `blocks[${index}]`, config);
  });
  const prompts = promptsOf(body.prompt ?? blocks.pop() ?? '');
  checkPromptSize(
    prompts.filter((prompt) => typeof prompt === 'string'),
    'prompt',
    config,
  );
  for (const [at, prompt] of prompts.entries()) {
    const param = prompts.length === 1 ? 'prompt' : `prompt[${at}]`;
    if (prompt.length === 0) throw new BlockstitchError('empty_input', { what: param }, { param });
    const wrong = typeof prompt === 'string' ? undefined : prompt.find((id) => id >= model.config.vocabSize);
    if (wrong === undefined) continue;
    const reason = `\`${param}\` names the token id ${wrong}; ids go from 0 to ${model.config.vocabSize - 1}.`;
    throw new BlockstitchError('invalid_request', { reason }, { param });
  }
  return { prompts, blocks };
}

/** @throws BlockstitchError `invalid_request` for more than could ever be in the queue at once */
function checkPromptCount(prompts: number, count: number, { maxQueue, maxRunning }: Services['config']): void {
  const invalid = (reason: string) => new BlockstitchError('invalid_request', { reason }, { param: 'prompt' });
  if (prompts > MOST_PROMPTS) {
    throw invalid(`\`prompt\` has ${prompts} prompts, more than the limit of ${MOST_PROMPTS}.`);
  }
  if (prompts > 1 && prompts * count > maxQueue + maxRunning) {
    const limit = `${maxQueue + maxRunning} (${settingLabel('maxQueue')} and ${settingLabel('maxRunning')})`;
    throw invalid(`\`prompt\` and \`n\` ask for ${prompts * count} choices, more than the limit of ${limit}.`);
  }
}

/** One prompt or several, each text or token ids. */
function promptsOf(prompt: NonNullable<CompletionBody['prompt']>): (string | number[])[] {
  if (typeof prompt === 'string') return [prompt];
  return prompt.every((each) => typeof each === 'number') ? [prompt] : (prompt as string[] | number[][]);
}

async function* completionChunks(
  choices: PromptSet,
  head: { id: string; created: number; model: string },
  body: CompletionBody,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent> {
  let unfinished = choices.size;
  const withUsage = body.stream_options?.include_usage === true;
  const chunk = (index: number, text: string, rest: object = {}) => ({
    ...head,
    object: 'text_completion',
    choices: [{ index, text, logprobs: null, finish_reason: null, ...rest }],
    ...(withUsage ? { usage: null } : {}),
  });
  for await (const { index, event } of choices.stream(signal)) {
    if (event.type === 'text') {
      const logprobs = body.logprobs === undefined ? null : wireLogprobs(event.logprobs);
      yield { data: chunk(index, event.text, { logprobs }) };
    } else if (event.type === 'finish') {
      unfinished -= 1;
      const last = chunk(index, '', { finish_reason: event.reason });
      yield { data: unfinished === 0 ? { ...last, blockstitch: await choices.report() } : last };
    }
  }
  if (withUsage) yield { data: { ...head, object: 'text_completion', choices: [], usage: choices.usage() } };
  yield { data: '[DONE]' };
}

/** OpenAI's older logprobs, by columns. */
function wireLogprobs(entries: readonly TokenEntry[]) {
  return {
    tokens: entries.map(tokenName),
    token_logprobs: entries.map(({ logprob }) => logprob),
    top_logprobs: entries.map(({ alternatives }) =>
      Object.fromEntries(alternatives.map((token) => [tokenName(token), token.logprob])),
    ),
    text_offset: entries.map(({ offset }) => offset),
  };
}

/** A part of a character has no text: two of them would have one name. */
function tokenName({ token, bytes }: Pick<TokenEntry, 'token' | 'bytes'>): string {
  if (isUtf8(Uint8Array.from(bytes))) return token;
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}
