/** The sampling fields that /v1/chat/completions and /v1/completions share, with OpenAI's names and ranges. */
import { type Static, Type } from '@fastify/type-provider-typebox';
import { DEFAULT_REPAIR_CHOICE, REPAIR_CHOICES } from '../../engine/engine.js';
import { LEAST_MAX_TOKENS, MOST_BLOCK_TOKENS } from '../../segment/segment-limits.js';
import { anyObject, mapOf, named, oneOf } from './named.js';

const blockTokens = (description: string, minimum = 1) =>
  Type.Optional(Type.Integer({ minimum, maximum: MOST_BLOCK_TOKENS, description }));

/** Counts that settings limit are whole numbers here: the error that names the setting is the better one. */
const MOST_COUNT = Number.MAX_SAFE_INTEGER;
/** Token ids are 32-bit numbers inside. */
const MOST_INT32 = 2 ** 31 - 1;

/** A token id. The route checks that the model has it. */
export const TokenIdSchema = Type.Integer({ minimum: 0, maximum: MOST_INT32 });

/** New tokens at most. */
export const tokenCount = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: MOST_COUNT, description }));

const share = { minimum: 0, maximum: 1 };
const RepairSchema = named(
  'Repair',
  Type.Object({
    share: Type.Number(share),
    by: Type.Optional(
      named(
        'RepairChoice',
        oneOf(REPAIR_CHOICES, {
          description: `Which tokens, by pages of 16; \`${DEFAULT_REPAIR_CHOICE}\` if absent.`,
        }),
      ),
    ),
  }),
);

export const AttentionModeSchema = named(
  'AttentionMode',
  oneOf(['block', 'full'], {
    description: '`block` stitches cached blocks; `full` is ordinary causal attention over the same tokens.',
  }),
);

const AttentionOptionsSchema = named(
  'AttentionOptions',
  Type.Object({
    mode: AttentionModeSchema,
    repair: Type.Optional(
      Type.Union([Type.Number(share), RepairSchema], {
        description:
          'Only with the mode `block`. For checkpoints not trained for block attention: the share of the cached tokens that is computed again in context. 0 = none, 1 = `full` exactly.',
      }),
    ),
  }),
);

export const AttentionSchema = named(
  'Attention',
  Type.Union([AttentionModeSchema, AttentionOptionsSchema], {
    description:
      "`block` stitches cached blocks; `full` is ordinary causal attention over the same tokens. If absent, the checkpoint's own mode; one that was not trained for blocks gets `--repair`. `block` alone repairs nothing.",
  }),
);

export const SegmentationSchema = named(
  'Segmentation',
  Type.Object(
    {
      segmenter: Type.Optional(
        named(
          'Segmenter',
          oneOf(['auto', 'structural', 'fixed', 'paragraphs', 'recursive', 'texttiling', 'embedding', 'semantic']),
        ),
      ),
      target_tokens: blockTokens('Wanted mean length of a block.'),
      min_tokens: blockTokens('No block is shorter than this if the text allows.'),
      max_tokens: blockTokens(
        "Hard maximum of a block's own text. The document's frame (title, template text) and a checkpoint's sinks at the edges of blocks come on top.",
        LEAST_MAX_TOKENS,
      ),
      granularity: Type.Optional(
        Type.Number({
          minimum: 0,
          maximum: 1,
          description: '0 = finest, 1 = coarsest: a target length; instead of `target_tokens`.',
        }),
      ),
    },
    {
      description:
        'How documents are cut into blocks. `min_tokens` <= `target_tokens` <= `max_tokens`, also where defaults stand in; `target_tokens` or `granularity`, not both.',
    },
  ),
);
export type SegmentationBody = Static<typeof SegmentationSchema>;

export const CacheSaltSchema = Type.String({
  minLength: 1,
  maxLength: 256,
  description:
    'Separates tenants: blocks cached under one salt are never used under another. The header `x-cache-salt` may not name another one.',
});

const JsonSchema = named('JsonSchema', anyObject({ description: 'A JSON Schema that can be enforced (docs/api.md).' }));
const SchemaOrText = named(
  'JsonSchemaOrText',
  Type.Union([JsonSchema, Type.String()], {
    description: 'A JSON Schema that can be enforced (docs/api.md), or its text.',
  }),
);
const Choices = named(
  'AnswerChoices',
  Type.Array(Type.String({ minLength: 1 }), {
    minItems: 1,
    maxItems: 1024,
    description: 'The answer is one of these: 65,536 characters in all, none of them NUL.',
  }),
);

export const ResponseFormatTypeSchema = named('ResponseFormatType', oneOf(['text', 'json_object', 'json_schema']));

const ResponseFormatSchema = named(
  'ResponseFormat',
  Type.Object(
    {
      type: ResponseFormatTypeSchema,
      json_schema: Type.Optional(
        named(
          'JsonSchemaFormat',
          Type.Object({
            name: Type.Optional(Type.String()),
            description: Type.Optional(Type.String()),
            schema: Type.Optional(JsonSchema),
            strict: Type.Optional(Type.Boolean({ description: 'The schema is enforced in either case.' })),
          }),
        ),
      ),
    },
    {
      description:
        'What the answer looks like: every token is chosen among those that fit. The type `json_schema` needs `json_schema`.',
    },
  ),
);

const StructuredOutputsSchema = named(
  'StructuredOutputs',
  Type.Object(
    {
      json: Type.Optional(SchemaOrText),
      regex: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 4096,
          description: 'The whole answer matches this regular expression, which must be one that can be enforced.',
        }),
      ),
      choice: Type.Optional(Choices),
      grammar: Type.Optional(
        Type.String({ minLength: 1, maxLength: 65536, description: 'EBNF; the first rule is `root`.' }),
      ),
      json_object: Type.Optional(Type.Boolean({ description: 'Any JSON object.' })),
    },
    { description: "vLLM's form of `response_format`: exactly one of the fields. One request names one structure." },
  ),
);

const StreamOptionsSchema = named(
  'StreamOptions',
  Type.Object({
    include_usage: Type.Optional(Type.Boolean({ description: 'A last chunk with `usage` and no choices.' })),
  }),
);

export const samplingProperties = {
  model: Type.Optional(Type.String({ description: 'The served model; any other name is 404.' })),
  attention: Type.Optional(AttentionSchema),
  cache_salt: Type.Optional(CacheSaltSchema),
  max_tokens: tokenCount('New tokens at most; the server allows so many: `--max-tokens`.'),
  temperature: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 2,
      description: "0 = greedy. If absent, the checkpoint's (generation_config.json), else 1.",
    }),
  ),
  top_p: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description: "Only the likeliest tokens that make up this much; 0 = greedy. If absent, the checkpoint's, else 1.",
    }),
  ),
  top_k: Type.Optional(
    Type.Integer({
      minimum: -1,
      maximum: MOST_INT32,
      description: "0 or -1 = off. If absent, the checkpoint's, else off.",
    }),
  ),
  min_p: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description: "Only tokens with this share of the likeliest one's probability.",
    }),
  ),
  presence_penalty: Type.Optional(
    Type.Number({ minimum: -2, maximum: 2, description: 'Taken from the logit of each token that was generated.' }),
  ),
  frequency_penalty: Type.Optional(
    Type.Number({ minimum: -2, maximum: 2, description: 'The same, once for each time it was generated.' }),
  ),
  repetition_penalty: Type.Optional(
    Type.Number({ minimum: 0.01, maximum: 10, description: "1 = off. If absent, the checkpoint's, else off." }),
  ),
  seed: Type.Optional(
    Type.Integer({
      minimum: Number.MIN_SAFE_INTEGER,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'The same seed draws the same answer; choice i takes seed + i. The low 32 bits count.',
    }),
  ),
  stop: Type.Optional(
    Type.Union([Type.String(), Type.Array(Type.String())], {
      description: 'Generation ends before any of these: at most `--max-stops` texts of 1 to 1024 characters.',
    }),
  ),
  stop_token_ids: Type.Optional(
    Type.Array(TokenIdSchema, {
      maxItems: 256,
      description: 'End the answer, as end-of-text tokens do.',
    }),
  ),
  ignore_eos: Type.Optional(
    Type.Boolean({
      description:
        'Go on past end-of-text tokens, up to `max_tokens` or a stop of the request. Where a structure holds the answer (structured output; tools that are required or strict), such a token comes only where the answer may end, and it ends the answer all the same.',
    }),
  ),
  prompt_lookup: Type.Optional(
    Type.Boolean({
      description:
        'Whether tokens may be proposed from the documents (or a `prediction`) and verified several in a step. The answer is the same either way. Default: `--prompt-lookup`, which can turn it off for all.',
    }),
  ),
  logit_bias: Type.Optional(
    named(
      'LogitBias',
      mapOf(Type.Number({ minimum: -100, maximum: 100 }), {
        propertyNames: { pattern: '^[0-9]+$' },
        maxProperties: 1024,
        description: 'Added to the logit of each token id of the model before sampling; at most 1024 ids.',
      }),
    ),
  ),
  n: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MOST_COUNT,
      description: 'Choices to return; the server allows so many: `--max-choices`.',
    }),
  ),
  response_format: Type.Optional(ResponseFormatSchema),
  structured_outputs: Type.Optional(StructuredOutputsSchema),
  guided_json: Type.Optional(SchemaOrText),
  guided_regex: Type.Optional(
    Type.String({ minLength: 1, maxLength: 4096, description: 'As `structured_outputs.regex`.' }),
  ),
  guided_choice: Type.Optional(Choices),
  guided_grammar: Type.Optional(
    Type.String({ minLength: 1, maxLength: 65536, description: 'As `structured_outputs.grammar`.' }),
  ),
  stream: Type.Optional(Type.Boolean({ description: 'Server-sent events instead of one answer.' })),
  stream_options: Type.Optional(StreamOptionsSchema),
  user: Type.Optional(Type.String({ description: 'Accepted and ignored.' })),
};

const SamplingBodySchema = Type.Object(samplingProperties);
export type SamplingBody = Static<typeof SamplingBodySchema>;
