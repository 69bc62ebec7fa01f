/**
 * POST /v1/responses: OpenAI's newer way to ask, without state: nothing is stored, nothing is continued. It is the same chat
 * in other words.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type ServerEvent, sendEventStream } from '../event-stream.js';
import type { Choices } from '../generation/choices.js';
import { streamError, unixSeconds } from '../generation/request-basics.js';
import { inResponseWords, responseChat } from '../generation/response-chat.js';
import { ResponseOutput } from '../generation/response-output.js';
import { startChat } from '../generation/start-chat.js';
import { refuseResponseFields } from '../generation/unsupported-fields.js';
import type { Lifecycle } from '../lifecycle.js';
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
    const choices = await startChat(services, responseChat(body), request, reply).catch((error: unknown) => {
      throw inResponseWords(error, body);
    });
    const head = { id: `resp_${request.id}`, created_at: unixSeconds(), model: services.model.name };
    const output = new ResponseOutput(`msg_${request.id}`, services.notation);
    if (body.stream) {
      const events = responseEvents(choices, head, body, output, request.clientSignal);
      return sendEventStream(reply, events, streamError(services, request), () => choices.reportHeaders());
    }
    for await (const { event } of choices.stream(request.clientSignal)) output.take(event);
    reply.headers(choices.reportHeaders());
    return await whole(head, body, choices, output);
  });
};

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
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    store: false,
    temperature: body.temperature ?? null,
    top_p: body.top_p ?? null,
    text: { format: body.text?.format ?? { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: (body.tools ?? []).map(shownTool),
    truncation: 'disabled',
    metadata: body.metadata ?? {},
    usage: null,
  };
}

function shownTool(tool: NonNullable<ResponseBody['tools']>[number]): ResponseAnswer['tools'][number] {
  const { type, name, description = null, parameters = null, strict = false } = tool;
  return { type, name, description, parameters, strict };
}

async function whole(
  head: Head,
  body: ResponseBody,
  choices: Choices,
  { items, isCut }: ResponseOutput,
): Promise<ResponseAnswer> {
  const usage = choices.usage();
  return {
    ...opened(head, body),
    status: isCut ? 'incomplete' : 'completed',
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    output: items,
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

async function* responseEvents(
  choices: Choices,
  head: Head,
  body: ResponseBody,
  output: ResponseOutput,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent> {
  let number = 0;
  const event = (type: string, fields: object): ServerEvent => {
    const data = { type, sequence_number: number, ...fields };
    number += 1;
    return { event: type, data };
  };
  let begun = false;
  for await (const { event: happened } of choices.stream(signal)) {
    if (!begun) {
      begun = true;
      const response = opened(head, body);
      for (const type of ['response.created', 'response.in_progress']) yield event(type, { response });
    }
    for (const { type, ...fields } of output.take(happened)) yield event(type, fields);
    if (happened.type !== 'finish') continue;
    const response = await whole(head, body, choices, output);
    yield event(`response.${response.status}`, { response });
  }
}
