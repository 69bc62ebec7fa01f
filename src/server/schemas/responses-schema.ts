/** /v1/responses on the wire: OpenAI's newer request and answers, without state. */
import { type Static, type TSchema, Type } from '@fastify/type-provider-typebox';
import { ChatBodySchema } from './chat-schema.js';
import { JobErrorSchema } from './document-schema.js';
import { anyObject, mapOf, named, oneOf, stringOrNull } from './named.js';
import { ResponseFormatTypeSchema, tokenCount } from './sampling-schema.js';
import {
  AllowedToolsTypeSchema,
  allowedFields,
  FunctionDefinitionSchema,
  ToolChoiceModeSchema,
  ToolTypeSchema,
  toolFields,
} from './tool-schema.js';
import { ReportSchema, UsageSchema } from './usage-schema.js';

const chat = ChatBodySchema.properties;
const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);

const ItemStatusSchema = named('ResponseStatus', oneOf(['in_progress', 'completed', 'incomplete', 'failed']));

const InputPartSchema = named(
  'ResponseInputPart',
  Type.Object({ type: named('ResponsePartType', oneOf(['input_text', 'output_text', 'text'])), text: Type.String() }),
);
const InputTextSchema = Type.Union([Type.String(), Type.Array(InputPartSchema)]);
const InputMessageSchema = named(
  'ResponseInputMessage',
  Type.Object({
    type: Type.Optional(Type.Literal('message')),
    role: named('ResponseRole', oneOf(['system', 'developer', 'user', 'assistant'])),
    content: InputTextSchema,
  }),
);

/** What clients send back as they got it. */
const returned = { id: Type.Optional(Type.String()), status: Type.Optional(ItemStatusSchema) };
const InputCallSchema = named(
  'ResponseFunctionCallInput',
  Type.Object(
    {
      type: Type.Literal('function_call'),
      call_id: Type.String(),
      name: Type.String(),
      arguments: Type.String({ description: 'JSON.' }),
      ...returned,
    },
    { description: 'What the assistant called earlier.' },
  ),
);
const CallOutputSchema = named(
  'ResponseFunctionCallOutput',
  Type.Object(
    {
      type: Type.Literal('function_call_output'),
      call_id: Type.String({ description: 'Which call it answers: that of one before it.' }),
      output: InputTextSchema,
      ...returned,
    },
    { description: 'What a function gave.' },
  ),
);
const InputItemSchema = Type.Union([InputMessageSchema, InputCallSchema, CallOutputSchema]);
export type InputItem = Static<typeof InputItemSchema>;

const FunctionToolSchema = named(
  'ResponseFunctionTool',
  Type.Object({ type: ToolTypeSchema, ...FunctionDefinitionSchema.properties }),
);
const NamedToolSchema = named('ResponseNamedTool', Type.Object({ type: ToolTypeSchema, name: Type.String() }));
const AllowedToolsSchema = named(
  'ResponseAllowedTools',
  Type.Object({ type: AllowedToolsTypeSchema, ...allowedFields(NamedToolSchema) }),
);

const TextFormatSchema = named(
  'ResponseTextFormat',
  Type.Object({
    type: ResponseFormatTypeSchema,
    name: Type.Optional(Type.String()),
    description: Type.Optional(Type.String()),
    schema: Type.Optional(
      anyObject({ description: 'A JSON Schema that can be enforced (docs/api.md). The type `json_schema` needs it.' }),
    ),
    strict: Type.Optional(Type.Boolean()),
  }),
);

export const ResponseBodySchema = named(
  'ResponseRequest',
  Type.Object(
    {
      model: chat.model,
      input: Type.Union([Type.String(), Type.Array(InputItemSchema, { minItems: 1, maxItems: 4096 })], {
        description: 'A question, or messages, calls and their results. A user sends more than white space.',
      }),
      instructions: Type.Optional(Type.String({ description: 'A system message in front of the input.' })),
      documents: chat.documents,
      segmentation: chat.segmentation,
      auto_blocks: chat.auto_blocks,
      attention: chat.attention,
      citations: chat.citations,
      cache_salt: chat.cache_salt,
      max_output_tokens: tokenCount('New tokens at most; the server allows so many: `--max-tokens`.'),
      temperature: chat.temperature,
      top_p: chat.top_p,
      seed: chat.seed,
      prompt_lookup: chat.prompt_lookup,
      text: Type.Optional(
        named(
          'ResponseTextOptions',
          Type.Object({ format: Type.Optional(TextFormatSchema) }, { description: 'What the answer looks like.' }),
        ),
      ),
      ...toolFields(FunctionToolSchema, NamedToolSchema, AllowedToolsSchema),
      stream: chat.stream,
      store: Type.Optional(Type.Boolean({ description: 'Nothing is stored, whatever it says.' })),
      metadata: Type.Optional(mapOf(Type.String(), { description: 'Comes back in the answer.' })),
      user: chat.user,
    },
    {
      description:
        'No state, no reasoning, one answer: `previous_response_id`, `conversation`, `background`, `prompt`, `include`, `reasoning`, `truncation`, `top_logprobs`, `max_tool_calls` and `n` are refused by name, and so are the fields that only a chat has. Others that are not here are ignored.',
    },
  ),
);
export type ResponseBody = Static<typeof ResponseBodySchema>;

const OutputTextSchema = named(
  'ResponseOutputText',
  Type.Object({ type: Type.Literal('output_text'), text: Type.String(), annotations: Type.Array(anyObject()) }),
);
const OutputMessageSchema = named(
  'ResponseMessage',
  Type.Object({
    id: Type.String(),
    type: Type.Literal('message'),
    role: Type.Literal('assistant'),
    status: ItemStatusSchema,
    content: Type.Array(OutputTextSchema),
  }),
);

const OutputCallSchema = named(
  'ResponseFunctionCall',
  Type.Object({
    id: Type.String(),
    type: Type.Literal('function_call'),
    call_id: Type.String({ description: 'The `call_id` of the item with the result.' }),
    name: Type.String(),
    arguments: Type.String({ description: 'JSON as the model wrote it.' }),
    status: ItemStatusSchema,
  }),
);
export const OutputItemSchema = named('ResponseOutputItem', Type.Union([OutputMessageSchema, OutputCallSchema]));
export type OutputItem = Static<typeof OutputItemSchema>;

/** A tool as the answer shows it: null for what the request has not. */
const ShownToolSchema = named(
  'ResponseShownTool',
  Type.Object({
    type: ToolTypeSchema,
    name: Type.String(),
    description: stringOrNull(),
    parameters: nullable(anyObject()),
    strict: Type.Boolean(),
  }),
);

export const ResponseSchema = named(
  'ResponseObject',
  Type.Object({
    id: Type.String(),
    object: Type.Literal('response'),
    created_at: Type.Integer({ description: 'Unix time, seconds.' }),
    status: ItemStatusSchema,
    error: nullable(JobErrorSchema),
    incomplete_details: nullable(
      named('IncompleteDetails', Type.Object({ reason: Type.Literal('max_output_tokens') })),
    ),
    instructions: nullable(Type.String()),
    max_output_tokens: nullable(Type.Integer()),
    model: Type.String(),
    output: Type.Array(OutputItemSchema, { description: 'Text and calls, in the order in which they were written.' }),
    parallel_tool_calls: Type.Boolean(),
    previous_response_id: stringOrNull({ description: 'Always null: nothing is stored.' }),
    store: Type.Literal(false),
    temperature: nullable(Type.Number()),
    top_p: nullable(Type.Number()),
    text: named('ResponseTextSettings', Type.Object({ format: anyObject({ description: 'As the request had it.' }) })),
    tool_choice: Type.Union([ToolChoiceModeSchema, NamedToolSchema, AllowedToolsSchema]),
    tools: Type.Array(ShownToolSchema),
    truncation: Type.Literal('disabled'),
    metadata: mapOf(Type.String()),
    usage: nullable(
      named(
        'ResponseUsage',
        Type.Object({
          input_tokens: Type.Integer(),
          input_tokens_details: UsageSchema.properties.prompt_tokens_details,
          output_tokens: Type.Integer(),
          output_tokens_details: named('OutputTokensDetails', Type.Object({ reasoning_tokens: Type.Integer() })),
          total_tokens: Type.Integer(),
        }),
      ),
    ),
    blockstitch: Type.Optional(ReportSchema),
  }),
);
export type ResponseAnswer = Static<typeof ResponseSchema>;
