/** /v1/completions on the wire: OpenAI's request and answers, with `blocks` and the `blockstitch` report. */
import { type Static, Type } from '@fastify/type-provider-typebox';
import { mapOf, named } from './named.js';
import { samplingProperties, TokenIdSchema } from './sampling-schema.js';
import { FinishReasonSchema, ReportSchema, UsageSchema } from './usage-schema.js';

/** Prompts of one request. Each is a request of its own to the queue. */
export const MOST_PROMPTS = 128;

export const CompletionBodySchema = named(
  'CompletionRequest',
  Type.Object({
    ...samplingProperties,
    prompt: Type.Optional(
      Type.Union(
        [
          Type.String(),
          Type.Array(TokenIdSchema),
          Type.Array(Type.String(), { minItems: 1 }),
          Type.Array(Type.Array(TokenIdSchema), { minItems: 1 }),
        ],
        {
          description:
            'Text, token ids of the model, or a list of either, at most 128: then choice j of prompt i is choice i * n + j. Each is a final block, and not empty.',
        },
      ),
    ),
    blocks: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'Texts that become cached blocks in front of the prompt; without a prompt the last is the final block. None is only white space.',
      }),
    ),
    logprobs: Type.Optional(Type.Integer({ minimum: 0, maximum: 20, description: 'Alternatives reported per token.' })),
  }),
);
export type CompletionBody = Static<typeof CompletionBodySchema>;

const CompletionLogprobsSchema = named(
  'CompletionLogprobs',
  Type.Object({
    tokens: Type.Array(Type.String(), {
      description: 'As text, one entry per token in each column; a part of a character as `bytes:\\\\xe2\\\\x82`.',
    }),
    token_logprobs: Type.Array(Type.Number()),
    top_logprobs: Type.Array(mapOf(Type.Number())),
    text_offset: Type.Array(Type.Integer(), {
      description:
        'Where each token begins in the text, in Unicode characters; for a part of a character, where that begins.',
    }),
  }),
);

const CompletionChoiceSchema = named(
  'CompletionChoice',
  Type.Object({
    index: Type.Integer(),
    text: Type.String(),
    logprobs: Type.Union([CompletionLogprobsSchema, Type.Null()]),
    finish_reason: Type.Union([FinishReasonSchema, Type.Null()]),
  }),
);

export const CompletionAnswerSchema = named(
  'Completion',
  Type.Object({
    id: Type.String(),
    object: Type.Literal('text_completion'),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(CompletionChoiceSchema),
    usage: UsageSchema,
    blockstitch: ReportSchema,
  }),
);

export const CompletionChunkSchema = named(
  'CompletionChunk',
  Type.Object(
    {
      ...CompletionAnswerSchema.properties,
      usage: Type.Optional(Type.Union([UsageSchema, Type.Null()])),
      blockstitch: Type.Optional(ReportSchema),
    },
    { description: 'One `data:` line each, then `data: [DONE]`.' },
  ),
);
