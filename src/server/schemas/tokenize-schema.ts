/** /tokenize and /detokenize on the wire, in vLLM's form: a text or a chat in, token ids out, and back. */
import { type Static, Type } from '@fastify/type-provider-typebox';
import { ChatBodySchema } from './chat-schema.js';
import { named } from './named.js';
import { TokenIdSchema } from './sampling-schema.js';

const chat = ChatBodySchema.properties;

export const TokenizeBodySchema = named(
  'TokenizeRequest',
  Type.Object({
    model: chat.model,
    prompt: Type.Optional(
      Type.String({
        description: 'A text that is not empty, nor only what begins every prompt. Either this or `messages`.',
      }),
    ),
    add_special_tokens: Type.Optional(
      Type.Boolean({
        description: "Whether a text's ids begin with those that stand in front of every prompt. Default: true.",
      }),
    ),
    return_token_strs: Type.Optional(Type.Boolean({ description: 'Each token as text, too.' })),
    messages: Type.Optional(chat.messages),
    documents: chat.documents,
    segmentation: chat.segmentation,
    auto_blocks: chat.auto_blocks,
    attention: chat.attention,
    cache_salt: chat.cache_salt,
    tools: chat.tools,
    tool_choice: chat.tool_choice,
    chat_template_kwargs: chat.chat_template_kwargs,
    add_generation_prompt: chat.add_generation_prompt,
    continue_final_message: chat.continue_final_message,
  }),
);
export type TokenizeBody = Static<typeof TokenizeBodySchema>;

export const TokenizeAnswerSchema = named(
  'TokenizeResponse',
  Type.Object({
    count: Type.Integer({ description: 'Tokens of the prompt, documents and template included.' }),
    max_model_len: Type.Integer({ description: 'Tokens that the context holds.' }),
    tokens: Type.Array(Type.Integer(), { description: 'Their ids, in prompt order.' }),
    token_strs: Type.Optional(Type.Array(Type.String())),
  }),
);

/** A body has at most so many numbers in lists (json-measure.ts). */
const MOST_TOKENS = 150_000;
export const DetokenizeBodySchema = named(
  'DetokenizeRequest',
  Type.Object({
    model: chat.model,
    tokens: Type.Array(TokenIdSchema, { maxItems: MOST_TOKENS, description: 'Ids of tokens that the model has.' }),
  }),
);

export const DetokenizeAnswerSchema = named(
  'DetokenizeResponse',
  Type.Object({ prompt: Type.String({ description: 'The text of the ids, control tokens included.' }) }),
);
