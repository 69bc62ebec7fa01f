/** /v1/chat/completions on the wire: OpenAI's request and answers, with `documents` and the `blockstitch` report. */
import { type Static, Type } from '@fastify/type-provider-typebox';
import { MAX_ID_BYTES } from '../../documents/document-limits.js';
import { anyObject, named, oneOf, stringOrNull } from './named.js';
import { SegmentationSchema, samplingProperties, tokenCount } from './sampling-schema.js';
import { ToolCallDeltaSchema, ToolCallInputSchema, ToolCallSchema, toolProperties } from './tool-schema.js';
import { ReportSchema, UsageSchema } from './usage-schema.js';

const TextPartSchema = named('TextPart', Type.Object({ type: Type.Literal('text'), text: Type.String() }));
const ContentPartSchema = named(
  'ContentPart',
  Type.Union([
    TextPartSchema,
    named(
      'RefusalPart',
      Type.Object({ type: Type.Literal('refusal'), refusal: Type.String({ description: "Only an assistant's." }) }),
    ),
  ]),
);

const MessageSchema = named(
  'ChatMessage',
  Type.Object({
    role: named(
      'ChatRole',
      oneOf(['system', 'developer', 'user', 'assistant', 'tool'], {
        description: '`developer` is treated as `system`.',
      }),
    ),
    content: Type.Optional(
      Type.Union([Type.String(), Type.Array(ContentPartSchema)], {
        description:
          'Text, or text parts, which are joined by line breaks. Only an assistant may send none. A user sends more than white space.',
      }),
    ),
    name: Type.Optional(Type.String({ description: 'Shown to the chat template.' })),
    tool_calls: Type.Optional(
      Type.Array(ToolCallInputSchema, {
        description: 'What the assistant called earlier; shown to the chat template.',
      }),
    ),
    tool_call_id: Type.Optional(
      Type.String({ description: 'Which call a `tool` message answers: the id of one before it.' }),
    ),
    reasoning_content: Type.Optional(Type.String({ description: 'Reasoning of an earlier answer, for the template.' })),
  }),
);

/** Either `id` or a text; the route says which is missing. */
const DocumentObjectSchema = named(
  'DocumentInput',
  Type.Object(
    {
      id: Type.Optional(
        Type.String({ minLength: 1, maxLength: MAX_ID_BYTES, description: 'A document of /v1/documents.' }),
      ),
      title: Type.Optional(
        Type.String({ maxLength: 1024, description: 'Placed before the text, as part of its first block.' }),
      ),
      text: Type.Optional(Type.String({ description: 'The document itself. A blank one among others is left out.' })),
      page_content: Type.Optional(
        Type.String({ description: "The text of LangChain's documents; their `id` is ignored." }),
      ),
      content: Type.Optional(Type.String({ description: "The text of Haystack's documents; their `id` is ignored." })),
    },
    { description: 'Either the id of an ingested document, or a text under one of its names.' },
  ),
);
const SentDocumentSchema = Type.Union([Type.String(), DocumentObjectSchema]);
export type SentDocument = Static<typeof SentDocumentSchema>;

export const ChatBodySchema = named(
  'ChatCompletionRequest',
  Type.Object({
    ...samplingProperties,
    messages: Type.Array(MessageSchema, { minItems: 1, maxItems: 4096 }),
    documents: Type.Optional(
      Type.Array(SentDocumentSchema, { description: 'In the order in which they are stitched: texts, or objects.' }),
    ),
    segmentation: Type.Optional(SegmentationSchema),
    ...toolProperties,
    citations: Type.Optional(
      Type.Boolean({ description: 'Report for each sentence of the answer which blocks it quotes.' }),
    ),
    auto_blocks: Type.Optional(
      Type.Boolean({
        description:
          'Cut messages of more than a few hundred tokens into blocks: a passage that was seen before is a hit wherever it stands. `false`: they stay whole. If absent, `--auto-blocks` decides.',
      }),
    ),
    chat_template_kwargs: Type.Optional(
      named(
        'ChatTemplateKwargs',
        anyObject({
          propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
          description:
            'Variables of the chat template, such as `{"enable_thinking": false}`. Names that the server sets itself, as `messages`, are refused.',
        }),
      ),
    ),
    add_generation_prompt: Type.Optional(
      Type.Boolean({
        description:
          'Whether the prompt ends with the header of an answer. Default: true, unless the last message is continued.',
      }),
    ),
    continue_final_message: Type.Optional(
      Type.Boolean({
        description:
          'The answer continues the last message, which must have text, instead of starting a new one. Not with `add_generation_prompt: true`.',
      }),
    ),
    prediction: Type.Optional(
      named(
        'Prediction',
        Type.Object(
          {
            type: named('PredictionType', oneOf(['content'])),
            content: Type.Union([Type.String(), Type.Array(TextPartSchema)], {
              description: 'Text, or text parts, which are joined by line breaks.',
            }),
          },
          {
            description:
              'Text that the answer will repeat in large parts, such as a file that is edited: prompt lookup proposes from it. The answer is the same without.',
          },
        ),
      ),
    ),
    max_completion_tokens: tokenCount("OpenAI's newer name of `max_tokens`; wins over it."),
    logprobs: Type.Optional(Type.Boolean({ description: 'Report the log-probability of each token.' })),
    top_logprobs: Type.Optional(Type.Integer({ minimum: 0, maximum: 20, description: 'Needs `logprobs: true`.' })),
  }),
);
export type ChatBody = Static<typeof ChatBodySchema>;

/** As OpenAI types it. This server's models refuse in words. */
const NoRefusalSchema = stringOrNull({ description: 'Always null here.' });

const TopLogprobSchema = named(
  'TopLogprob',
  Type.Object({
    token: Type.String({ description: 'As text.' }),
    logprob: Type.Number({ description: 'Natural logarithm.' }),
    bytes: Type.Array(Type.Integer(), { description: 'Its UTF-8 bytes, which may be part of a character.' }),
  }),
);
const TokenLogprobSchema = named(
  'TokenLogprob',
  Type.Object({ ...TopLogprobSchema.properties, top_logprobs: Type.Array(TopLogprobSchema) }),
);
export const LogprobsSchema = named(
  'ChatLogprobs',
  Type.Object({
    content: Type.Array(TokenLogprobSchema),
    refusal: NoRefusalSchema,
  }),
);

const AssistantMessageSchema = named(
  'AssistantMessage',
  Type.Object({
    role: Type.Literal('assistant'),
    content: stringOrNull({ description: 'Null if the answer is calls only.' }),
    refusal: NoRefusalSchema,
    tool_calls: Type.Optional(Type.Array(ToolCallSchema)),
  }),
);

const ChatFinishReasonSchema = named(
  'ChatFinishReason',
  oneOf(['stop', 'length', 'tool_calls'], {
    description:
      '`stop`: the model, a stop string or a stop token ended it; `length`: max_tokens did; `tool_calls`: it has calls.',
  }),
);

export const ChatAnswerSchema = named(
  'ChatCompletion',
  Type.Object({
    id: Type.String(),
    object: Type.Literal('chat.completion'),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(
      named(
        'ChatChoice',
        Type.Object({
          index: Type.Integer(),
          message: AssistantMessageSchema,
          logprobs: Type.Union([LogprobsSchema, Type.Null()]),
          finish_reason: ChatFinishReasonSchema,
        }),
      ),
    ),
    usage: UsageSchema,
    blockstitch: ReportSchema,
  }),
);

const ChatChunkChoiceSchema = named(
  'ChatChunkChoice',
  Type.Object({
    index: Type.Integer(),
    delta: named(
      'ChatDelta',
      Type.Object({
        role: Type.Optional(Type.Literal('assistant')),
        content: Type.Optional(Type.String()),
        tool_calls: Type.Optional(Type.Array(ToolCallDeltaSchema)),
      }),
    ),
    logprobs: Type.Union([LogprobsSchema, Type.Null()]),
    finish_reason: Type.Union([ChatFinishReasonSchema, Type.Null()]),
  }),
);

export const ChatChunkSchema = named(
  'ChatCompletionChunk',
  Type.Object(
    {
      id: Type.String(),
      object: Type.Literal('chat.completion.chunk'),
      created: Type.Integer(),
      model: Type.String(),
      choices: Type.Array(ChatChunkChoiceSchema),
      usage: Type.Optional(Type.Union([UsageSchema, Type.Null()])),
      blockstitch: Type.Optional(ReportSchema),
    },
    {
      description:
        'One `data:` line each, then `data: [DONE]`. The last chunk of the last choice carries `blockstitch`; with `stream_options.include_usage` a chunk with empty `choices` and `usage` follows.',
    },
  ),
);
