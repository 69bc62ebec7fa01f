/** The cost of an answer: OpenAI's usage, and the `blockstitch` extension with blocks and timings. */
import { type Static, Type } from '@fastify/type-provider-typebox';
import { named, oneOf, usedAs } from './named.js';
import { AttentionModeSchema } from './sampling-schema.js';

export const UsageSchema = named(
  'Usage',
  Type.Object({
    prompt_tokens: Type.Integer({ description: 'All of the prompt, cached or not; once, however many choices.' }),
    completion_tokens: Type.Integer({ description: 'Generated tokens of all choices.' }),
    total_tokens: Type.Integer(),
    prompt_tokens_details: named(
      'PromptTokensDetails',
      Type.Object({
        cached_tokens: Type.Integer({
          description: 'Prompt tokens that were not prefilled for this request; repaired tokens were.',
        }),
      }),
    ),
    completion_tokens_details: named(
      'CompletionTokensDetails',
      Type.Object({
        accepted_prediction_tokens: Type.Integer({
          description: 'Generated tokens that prompt lookup had proposed.',
        }),
        rejected_prediction_tokens: Type.Integer({
          description: 'Tokens that it had proposed and that did not come out. They are not among the generated ones.',
        }),
      }),
    ),
  }),
);
export type Usage = Static<typeof UsageSchema>;

export const BlockOriginSchema = named(
  'BlockOrigin',
  oneOf(['pool', 'host', 'lmdb', 'redis', 'computed'], {
    description: 'Where a block was found; `computed` = a miss.',
  }),
);

const DocumentSourceSchema = named(
  'DocumentSource',
  Type.Object(
    {
      index: Type.Integer({ description: 'Place in `documents` (or `blocks`) of the request.' }),
      id: Type.Optional(Type.String({ description: 'Of an ingested document.' })),
      start: Type.Integer({ description: 'UTF-16 offset in the text of the document.' }),
      end: Type.Integer(),
    },
    { description: 'Whose text it is. Absent for `template`.' },
  ),
);

const MessageSourceSchema = named(
  'MessageSource',
  Type.Object(
    {
      index: Type.Integer({ description: 'Place in `messages` of the request.' }),
      start: Type.Integer({ description: "UTF-16 offset in the message's text." }),
      end: Type.Integer(),
    },
    { description: 'The message that the block was cut from (`auto_blocks`).' },
  ),
);

const CutMessageSchema = named(
  'CutMessage',
  Type.Object({
    message: Type.Integer({ description: 'Place in `messages`.' }),
    passages: Type.Integer({ description: 'Passages that became blocks.' }),
    by: named(
      'CutRule',
      oneOf(['seams', 'lengths'], {
        description: '`seams`: where passages were joined. `lengths`: no seam was seen; cut as a document is.',
      }),
    ),
    moved: Type.Integer({
      description: 'Characters of the instruction in front of the passages; the prompt has them behind the passages.',
    }),
  }),
);

export const BlockReportSchema = named(
  'BlockReport',
  Type.Object({
    hash: Type.String({ description: 'The block key: GET /v1/blocks/{hash}.' }),
    tokens: Type.Integer({ description: 'Its length.' }),
    origin: BlockOriginSchema,
    kind: named(
      'BlockKind',
      oneOf(['template', 'document'], { description: 'Text of the chat template, or of a document.' }),
    ),
    repaired_tokens: Type.Integer({
      description: 'Tokens of it that were computed again in context (`attention.repair`).',
    }),
    prompt: Type.Optional(Type.Integer({ description: 'Place of the prompt, if the request has several.' })),
    document: Type.Optional(DocumentSourceSchema),
    message: Type.Optional(MessageSourceSchema),
  }),
);

const CitedBlockSchema = named(
  'CitedBlock',
  Type.Object({
    block: Type.Integer({ description: 'Place in `blocks`.' }),
    score: Type.Number({
      description: "Share of the sentence's words that the block has, rare ones before common ones.",
    }),
  }),
);

const CitationSchema = named(
  'Citation',
  Type.Object(
    {
      choice: Type.Integer(),
      start: Type.Integer({ description: 'UTF-16 offset of the sentence in the answer.' }),
      end: Type.Integer(),
      blocks: Type.Array(CitedBlockSchema, { description: 'Best first.' }),
    },
    { description: 'A sentence of the answer and the blocks that it quotes.' },
  ),
);

export const ReportSchema = named(
  'Report',
  Type.Object({
    attention: usedAs(AttentionModeSchema, 'What the answer was computed with.'),
    blocks: Type.Array(BlockReportSchema, { description: 'In prompt order.' }),
    skipped_documents: Type.Optional(
      Type.Array(Type.Integer(), {
        description: 'Places of blank documents, which were left out. Absent if there were none.',
      }),
    ),
    citations: Type.Optional(Type.Array(CitationSchema, { description: 'If the request has `citations`.' })),
    auto_blocks: Type.Optional(
      Type.Array(CutMessageSchema, { description: 'How messages were cut into blocks. Absent if none was.' }),
    ),
    timings: named(
      'Timings',
      Type.Object({
        queue_ms: Type.Number({ description: 'Waiting in the queue.' }),
        prefill_ms: Type.Number({ description: 'Loading and computing until the first token.' }),
        ttft_ms: Type.Number({ description: 'From the parsed request to the first token.' }),
        total_ms: Type.Number({ description: 'From the parsed request to the last token.' }),
      }),
    ),
  }),
);
export type Report = Static<typeof ReportSchema>;

export const FinishReasonSchema = named(
  'FinishReason',
  oneOf(['stop', 'length'], {
    description: '`stop`: the model, a stop string or a stop token ended it; `length`: max_tokens did.',
  }),
);
