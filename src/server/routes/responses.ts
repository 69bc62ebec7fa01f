/**
 * POST /v1/responses: OpenAI's newer way to ask, without state: nothing is stored, nothing is continued. It is the same chat
 * in other words.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { BlockstitchError } from '../../errors.js';
import { type ServerEvent, sendEventStream } from '../event-stream.js';
import type { Choices } from '../generation/choices.js';
import { streamError, unixSeconds } from '../generation/request-basics.js';
import { startChat } from '../generation/start-chat.js';
import { refuseResponseFields } from '../generation/unsupported-fields.js';
import type { Lifecycle } from '../lifecycle.js';
import type { ChatBody } from '../schemas/chat-schema.js';
import { CHAT_ERRORS, errorResponses } from '../schemas/error-schema.js';
import { ResponseEventSchema } from '../schemas/event-schema.js';
import * as examples from '../schemas/examples.js';
import { body, jsonOrEvents } from '../schemas/response-forms.js';
import {
  type ResponseAnswer,
  type ResponseBody,
  ResponseBodySchema,
  ResponseSchema,
} from '../schemas/responses-schema.js';

const schema = {
  operationId: 'createResponse',
  tags: ['generate'],
  summary: 'Answer over documents, in the form of the Responses API',
  body: body(ResponseBodySchema, examples.responseRequest),
  response: {
    200: jsonOrEvents(
      { schema: ResponseSchema, example: examples.response },
      { schema: ResponseEventSchema, example: examples.responseEvent },
      'The response, or with `stream: true` its events.',
    ),
    ...errorResponses(['body', 'engine'], [...CHAT_ERRORS, 'client_closed']),
  },
};

export const responses: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.post('/v1/responses', { schema }, async (request, reply) => {
    const services = lifecycle.services();
    const { body } = request;
    refuseResponseFields(body);
    const choices = await startChat(services, chatBody(body), request, reply).catch((error: unknown) => {
      throw renamed(error);
    });
    const head = { id: `resp_${request.id}`, created_at: unixSeconds(), model: services.model.name };
    if (body.stream) {
      const events = responseEvents(choices, head, body, request.clientSignal);
      return sendEventStream(reply, events, streamError(services, request), () => choices.reportHeaders());
    }
    const [answer] = await choices.collect(request.clientSignal);
    reply.headers(choices.reportHeaders());
    return await whole(head, body, choices, answer?.text ?? '', answer?.reason ?? 'stop');
  });
};

/** The same request as a chat. */
function chatBody({ input, instructions, text, max_output_tokens: maxTokens, ...rest }: ResponseBody): ChatBody {
  const asked = typeof input === 'string' ? [{ role: 'user' as const, content: input }] : input.map(chatMessage);
  const { store: _store, metadata: _metadata, stream: _stream, ...shared } = rest;
  const format = text?.format;
  const { type = 'text', ...schemaFields } = format ?? {};
  return {
    ...shared,
    messages: instructions === undefined ? asked : [{ role: 'system', content: instructions }, ...asked],
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(format === undefined
      ? {}
      : { response_format: { type, ...(type === 'json_schema' ? { json_schema: schemaFields } : {}) } }),
  };
}

function chatMessage({ role, content }: Exclude<ResponseBody['input'], string>[number]): ChatBody['messages'][number] {
  if (typeof content === 'string') return { role, content };
  return { role, content: content.map(({ text }) => ({ type: 'text' as const, text })) };
}

/** Names of the chat's fields, and those of the client's. */
const RENAMED: readonly [RegExp, string][] = [
  [/^messages(\[\d+\])?\.?.*$/, 'input'],
  [/^max_tokens$/, 'max_output_tokens'],
  [/^response_format.*$/, 'text.format'],
];

/** An error names the field as the client has it. */
function renamed(error: unknown): unknown {
  if (!(error instanceof BlockstitchError) || error.param === undefined) return error;
  const { code, details, param } = error;
  const name = RENAMED.find(([pattern]) => pattern.test(param))?.[1];
  if (name === undefined) return error;
  const inWords = (detail: string | number) =>
    detail === param ? name : typeof detail === 'string' ? detail.replaceAll(`\`${param}\``, `\`${name}\``) : detail;
  const renamedDetails = Object.fromEntries(Object.entries(details).map(([key, detail]) => [key, inWords(detail)]));
  return new BlockstitchError(code, renamedDetails, { param: name, cause: error.cause });
}

type Head = Pick<ResponseAnswer, 'id' | 'created_at' | 'model'>;

function opened(head: Head, body: ResponseBody): ResponseAnswer {
  return {
    ...head,
    object: 'response',
    status: 'in_progress',
    error: null,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    output: [],
    parallel_tool_calls: false,
    previous_response_id: null,
    store: false,
    temperature: body.temperature ?? null,
    top_p: body.top_p ?? null,
    text: { format: body.text?.format ?? { type: 'text' } },
    tool_choice: 'none',
    tools: [],
    truncation: 'disabled',
    metadata: body.metadata ?? {},
    usage: null,
  };
}

async function whole(
  head: Head,
  body: ResponseBody,
  choices: Choices,
  text: string,
  reason: string,
): Promise<ResponseAnswer> {
  const usage = choices.usage();
  const isCut = reason === 'length';
  return {
    ...opened(head, body),
    status: isCut ? 'incomplete' : 'completed',
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    output: [message(head, isCut ? 'incomplete' : 'completed', [outputText(text)])],
    usage: {
      input_tokens: usage.prompt_tokens,
      input_tokens_details: usage.prompt_tokens_details,
      output_tokens: usage.completion_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.total_tokens,
    },
    blockstitch: await choices.report(),
  };
}

type Message = ResponseAnswer['output'][number];

function message({ id }: Head, status: Message['status'], content: Message['content']): Message {
  return { id: id.replace(/^resp_/, 'msg_'), type: 'message', role: 'assistant', status, content };
}

function outputText(text: string): Message['content'][number] {
  return { type: 'output_text', text, annotations: [] };
}

async function* responseEvents(
  choices: Choices,
  head: Head,
  body: ResponseBody,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent> {
  let number = 0;
  const event = (type: string, fields: object): ServerEvent => {
    const data = { type, sequence_number: number, ...fields };
    number += 1;
    return { event: type, data };
  };
  const item = message(head, 'in_progress', []);
  const place = { item_id: item.id, output_index: 0, content_index: 0 };
  const parts: string[] = [];
  let begun = false;
  for await (const { event: happened } of choices.stream(signal)) {
    if (!begun) {
      begun = true;
      yield event('response.created', { response: opened(head, body) });
      yield event('response.in_progress', { response: opened(head, body) });
      yield event('response.output_item.added', { output_index: 0, item });
      yield event('response.content_part.added', { ...place, part: outputText('') });
    }
    if (happened.type === 'text' && happened.text !== '') {
      parts.push(happened.text);
      yield event('response.output_text.delta', { ...place, delta: happened.text, logprobs: [] });
    } else if (happened.type === 'finish') {
      const text = parts.join('');
      const response = await whole(head, body, choices, text, happened.reason);
      yield event('response.output_text.done', { ...place, text, logprobs: [] });
      yield event('response.content_part.done', { ...place, part: outputText(text) });
      yield event('response.output_item.done', { output_index: 0, item: response.output[0] });
      yield event(`response.${response.status}`, { response });
    }
  }
}
