/**
 * Server-sent events on the wire. A schema describes one event as parsers give it: `data` is text, and its JSON has a
 * schema of its own. In a stream with HTTP status 200, an error is the last event.
 */
import { type TSchema, Type } from '@fastify/type-provider-typebox';
import { ChatChunkSchema } from './chat-schema.js';
import { CompletionChunkSchema } from './completion-schema.js';
import { JobSchema } from './document-schema.js';
import { ErrorSchema } from './error-schema.js';
import { named, oneOf } from './named.js';
import { OutputItemSchema, ResponseSchema } from './responses-schema.js';

const jsonText = (schema: TSchema) =>
  Type.Unsafe<string>({ type: 'string', contentMediaType: 'application/json', contentSchema: schema });
const withoutName = Type.Optional(
  Type.Literal('message', { description: 'The stream has no `event:` line: parsers say `message` then.' }),
);

const ErrorEventSchema = named(
  'ErrorEvent',
  Type.Object(
    { event: withoutName, data: jsonText(ErrorSchema) },
    { description: 'The last event of a stream that fails after it has begun.' },
  ),
);
const DoneEventSchema = named(
  'DoneEvent',
  Type.Object({ event: withoutName, data: Type.Literal('[DONE]') }, { description: 'The stream is whole.' }),
);

export const ChatEventSchema = named(
  'ChatCompletionEvent',
  Type.Union([
    named(
      'ChatCompletionChunkEvent',
      Type.Object({ event: withoutName, data: jsonText(ChatChunkSchema) }, { description: 'A piece of the answer.' }),
    ),
    DoneEventSchema,
    ErrorEventSchema,
  ]),
);

export const CompletionEventSchema = named(
  'CompletionEvent',
  Type.Union([
    named(
      'CompletionChunkEvent',
      Type.Object(
        { event: withoutName, data: jsonText(CompletionChunkSchema) },
        { description: 'A piece of the text.' },
      ),
    ),
    DoneEventSchema,
    ErrorEventSchema,
  ]),
);

export const JobEventSchema = named(
  'JobEvent',
  Type.Union([
    named(
      'JobChangeEvent',
      Type.Object(
        {
          event: named(
            'JobEventName',
            oneOf(['progress', 'done', 'failed', 'cancelled'], { description: '`progress` while the job runs.' }),
          ),
          data: jsonText(JobSchema),
        },
        { description: 'The job as it is now.' },
      ),
    ),
    ErrorEventSchema,
  ]),
);

const ResponseEventNameSchema = named(
  'ResponseEventName',
  oneOf([
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.done',
    'response.output_item.done',
    'response.completed',
    'response.incomplete',
  ]),
);

export const ResponseEventSchema = named(
  'ResponseEvent',
  Type.Union([
    named(
      'ResponseChangeEvent',
      Type.Object(
        {
          event: ResponseEventNameSchema,
          data: jsonText(
            named(
              'ResponseChange',
              Type.Object(
                {
                  type: ResponseEventNameSchema,
                  sequence_number: Type.Integer(),
                  response: Type.Optional(ResponseSchema),
                  output_index: Type.Optional(Type.Integer({ description: 'Which item of `output`.' })),
                  item: Type.Optional(OutputItemSchema),
                  item_id: Type.Optional(Type.String()),
                  delta: Type.Optional(Type.String({ description: "A piece of the text, or of a call's arguments." })),
                  name: Type.Optional(Type.String({ description: 'The function of a call that is whole.' })),
                  arguments: Type.Optional(Type.String({ description: 'Those of a call that is whole.' })),
                },
                { description: "OpenAI's events: the fields are those of the event's type." },
              ),
            ),
          ),
        },
        { description: 'What has happened to the response.' },
      ),
    ),
    ErrorEventSchema,
  ]),
);
