/** POST /v1/chat/completions: messages and documents in, an answer or a stream of chunks out. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { CallNotation } from '../../tools/call-notation.js';
import { type ServerEvent, sendEventStream } from '../event-stream.js';
import type { TokenEntry } from '../generation/choice-stream.js';
import type { Choices } from '../generation/choices.js';
import { streamError, unixSeconds } from '../generation/request-basics.js';
import { startChat } from '../generation/start-chat.js';
import { callDelta, wireCall } from '../generation/wire-calls.js';
import type { Lifecycle } from '../lifecycle.js';
import { ChatAnswerSchema, type ChatBody, ChatBodySchema } from '../schemas/chat-schema.js';
import { CHAT_ERRORS, errorResponses } from '../schemas/error-schema.js';
import { ChatEventSchema } from '../schemas/event-schema.js';
import * as examples from '../schemas/examples.js';
import { body, jsonOrEvents } from '../schemas/response-forms.js';

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
    ...errorResponses(['body', 'engine'], [...CHAT_ERRORS, 'client_closed']),
  },
};

export const chatCompletions: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.post('/v1/chat/completions', { schema }, async (request, reply) => {
    const services = lifecycle.services();
    const { body } = request;
    const choices = await startChat(services, body, request, reply);
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
      blockstitch: await choices.report(),
    };
  });
};

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
      yield { data: unfinished === 0 ? { ...last, blockstitch: await choices.report() } : last };
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
