/** POST /v1/chat/completions: messages and documents in, an answer or a stream of chunks out. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { scopeDigest } from '../../cache/block-key.js';
import { BlockstitchError } from '../../errors.js';
import { type ChatMessage, readMessages } from '../../prompt/chat-messages.js';
import { promptTokens } from '../../prompt/prompt-plan.js';
import type { TemplateOptions } from '../../prompt/template-data.js';
import type { CallNotation } from '../../tools/call-notation.js';
import { type ServerEvent, sendEventStream } from '../event-stream.js';
import { autoPassages } from '../generation/auto-blocks.js';
import type { TokenEntry } from '../generation/choice-stream.js';
import { Choices } from '../generation/choices.js';
import { checkPromptSize } from '../generation/prompt-limits.js';
import { attentionMode, checkModel, repairOptions, streamError, unixSeconds } from '../generation/request-basics.js';
import { heldGrammar, requestedStructure } from '../generation/requested-structure.js';
import { requestedTools } from '../generation/requested-tools.js';
import { choiceCount, samplingParams, stopStrings } from '../generation/sampling-params.js';
import { segmentOptions } from '../generation/segment-options.js';
import { sentDocuments } from '../generation/sent-documents.js';
import { refuseUnsupportedFields } from '../generation/unsupported-fields.js';
import { callDelta, wireCall } from '../generation/wire-calls.js';
import type { Lifecycle } from '../lifecycle.js';
import { ChatAnswerSchema, type ChatBody, ChatBodySchema } from '../schemas/chat-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import { ChatEventSchema } from '../schemas/event-schema.js';
import * as examples from '../schemas/examples.js';
import { body, jsonOrEvents } from '../schemas/response-forms.js';
import type { Services } from '../services.js';

const schema = {
  operationId: 'createChatCompletion',
  tags: ['generate'],
  summary: 'Answer a conversation over documents',
  body: body(ChatBodySchema, examples.chatRequest),
  response: {
    200: jsonOrEvents(
      { schema: ChatAnswerSchema, example: examples.chatCompletion },
      { schema: ChatEventSchema, example: examples.chatEvent },
      'The answer, or with `stream: true` its chunks.',
    ),
    ...errorResponses(
      ['body', 'engine'],
      [
        'empty_input',
        'segmentation_invalid',
        'context_length_exceeded',
        'model_not_found',
        'document_not_found',
        'document_damaged',
        'store_failed',
        'client_closed',
      ],
    ),
  },
};

export const chatCompletions: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.post('/v1/chat/completions', { schema }, async (request, reply) => {
    const services = lifecycle.services();
    const { body } = request;
    const ended = new Promise<void>((resolve) => {
      reply.raw.once('close', resolve);
    });
    const choices = await startChat(services, body, request, reply, ended);
    const head = { id: `chatcmpl-${request.id}`, created: unixSeconds(), model: services.model.name };
    if (body.stream) {
      const chunks = chatChunks(choices, head, body, services.notation, request.clientSignal);
      return sendEventStream(reply, chunks, streamError(services, request), () => choices.reportHeaders());
    }
    const collected = await choices.collect(request.clientSignal);
    reply.headers(choices.reportHeaders());
    return {
      ...head,
      object: 'chat.completion',
      choices: collected.map(({ text, calls, logprobs, reason }, index) => ({
        index,
        message: {
          role: 'assistant',
          content: text === '' && calls.length > 0 ? null : text,
          refusal: null,
          ...(calls.length === 0 ? {} : { tool_calls: calls.map((call) => wireCall(call, services.notation)) }),
        },
        logprobs: body.logprobs ? wireLogprobs(logprobs) : null,
        finish_reason: reason,
      })),
      usage: choices.usage(),
      blockstitch: choices.report(),
    };
  });
};

async function startChat(
  services: Services,
  body: ChatBody,
  { id, clientSignal, scope }: Pick<FastifyRequest, 'id' | 'clientSignal' | 'scope'>,
  reply: FastifyReply,
  ended: Promise<void>,
): Promise<Choices> {
  refuseUnsupportedFields(body, 'chat');
  checkModel(services, body.model);
  if (body.top_logprobs !== undefined && !body.logprobs) {
    throw new BlockstitchError(
      'invalid_request',
      { reason: '`top_logprobs` needs `logprobs: true`.' },
      { param: 'top_logprobs' },
    );
  }
  const count = choiceCount(body, services.config);
  const stops = stopStrings(body, services.config);
  const messages = readMessages(body.messages);
  refuseEmptyQuestions(messages);
  const structure = requestedStructure(body);
  const tools = requestedTools(body, services.notation, structure?.structure);
  const template = { ...templateOptions(body), toolsMayBeCalled: tools !== undefined };
  checkPromptSize(shownTexts(messages, template), 'messages', services.config);
  const documents = await services.documents.inputs({
    scope,
    documents: sentDocuments(body.documents ?? []),
    ...(body.segmentation === undefined ? {} : { segmentation: segmentOptions(body.segmentation) }),
    signal: clientSignal,
    ended,
  });
  const skippedDocuments = leftOut(body.documents?.length ?? 0, documents);
  const attention = attentionMode(services, body);
  const context = { tenant: scopeDigest(scope), signal: clientSignal };
  const auto = { attention, wanted: body.auto_blocks, segmentation: segmentOptions(body.segmentation) };
  const { passages, cut } = await autoPassages(services, cuttableTexts(messages), auto, context);
  const plan = await services.prompts.chat({ messages, documents, passages, attention, ...template, ...context });
  const maxTokens = newTokenLimit(body);
  const sampling = samplingParams(
    {
      body,
      ...(maxTokens === undefined ? {} : { maxTokens }),
      ...(body.logprobs ? { topLogprobs: body.top_logprobs ?? 0 } : {}),
      promptTokens: promptTokens(plan),
      promptField: 'messages',
    },
    services.model,
    services.config,
  );
  const asked = tools?.structure === undefined ? structure : { structure: tools.structure, param: 'tools' };
  const grammar = await heldGrammar(services, asked, reply, clientSignal);
  const called = tools === undefined ? {} : { tools: tools.parser };
  const rest = { ...repairOptions(body), ...grammar, ...called, skippedDocuments, autoBlocks: cut };
  return new Choices(services, { label: id, plan, sampling, stops, count, scope, ...rest });
}

/** What an assistant said stays whole: nothing was retrieved there. */
function cuttableTexts(messages: readonly ChatMessage[]): (string | undefined)[] {
  return messages.map(({ role, content }) => (role === 'assistant' ? undefined : (content ?? undefined)));
}

/** Places of the documents that are not among `kept`. */
function leftOut(count: number, kept: readonly { place: number }[]): number[] {
  const places = new Set(kept.map(({ place }) => place));
  return Array.from({ length: count }, (_, place) => place).filter((place) => !places.has(place));
}

function newTokenLimit(body: ChatBody): { field: string; value: number } | undefined {
  if (body.max_completion_tokens !== undefined) {
    return { field: 'max_completion_tokens', value: body.max_completion_tokens };
  }
  return body.max_tokens === undefined ? undefined : { field: 'max_tokens', value: body.max_tokens };
}

function refuseEmptyQuestions(messages: readonly ChatMessage[]): void {
  const empty = messages.findIndex(({ role, content }) => role === 'user' && !/\S/.test(content ?? ''));
  if (empty < 0) return;
  const param = `messages[${empty}].content`;
  throw new BlockstitchError('empty_input', { what: param }, { param });
}

/** What the body says to the chat template beside the messages. */
function templateOptions(body: ChatBody): TemplateOptions {
  const { tools, chat_template_kwargs, add_generation_prompt, continue_final_message } = body;
  return {
    ...(tools === undefined ? {} : { tools }),
    ...(chat_template_kwargs === undefined ? {} : { templateKwargs: chat_template_kwargs }),
    ...(add_generation_prompt === undefined ? {} : { addGenerationPrompt: add_generation_prompt }),
    ...(continue_final_message === undefined ? {} : { continueFinalMessage: continue_final_message }),
  };
}

/** Texts that may end up in the prompt. */
function shownTexts(messages: readonly ChatMessage[], { tools, templateKwargs }: TemplateOptions): string[] {
  const texts = messages.flatMap(({ content, tool_calls, reasoning_content }) => [
    content ?? '',
    reasoning_content ?? '',
    tool_calls === undefined ? '' : JSON.stringify(tool_calls),
  ]);
  return [...texts, ...[tools, templateKwargs].flatMap((each) => (each === undefined ? [] : JSON.stringify(each)))];
}

async function* chatChunks(
  choices: Choices,
  head: { id: string; created: number; model: string },
  body: ChatBody,
  notation: CallNotation,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent> {
  const opened = new Set<number>();
  let unfinished = body.n ?? 1;
  const withUsage = body.stream_options?.include_usage === true;
  const chunk = (index: number, delta: object, rest: { logprobs?: object | null; finish_reason?: string } = {}) => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index, delta, logprobs: null, finish_reason: null, ...rest }],
    ...(withUsage ? { usage: null } : {}),
  });
  for await (const { index, event } of choices.stream(signal)) {
    if (!opened.has(index)) {
      opened.add(index);
      yield { data: chunk(index, { role: 'assistant', content: '' }) };
    }
    if (event.type === 'text' || event.type === 'call') {
      const delta = event.type === 'text' ? { content: event.text } : { tool_calls: [callDelta(event.part, notation)] };
      yield { data: chunk(index, delta, { logprobs: body.logprobs ? wireLogprobs(event.logprobs) : null }) };
    } else if (event.type === 'finish') {
      unfinished -= 1;
      const last = chunk(index, {}, { finish_reason: event.reason });
      yield { data: unfinished === 0 ? { ...last, blockstitch: choices.report() } : last };
    }
  }
  if (withUsage) {
    yield { data: { ...head, object: 'chat.completion.chunk', choices: [], usage: choices.usage() } };
  }
  yield { data: '[DONE]' };
}

function wireLogprobs(entries: readonly TokenEntry[]) {
  return { content: entries.map(wireLogprob), refusal: null };
}

function wireLogprob({ token, logprob, bytes, alternatives }: TokenEntry) {
  return { token, logprob, bytes, top_logprobs: alternatives };
}
