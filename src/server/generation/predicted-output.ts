/**
 * What a chat's `prediction` says will be in the answer, as tokens for prompt lookup. It changes no answer: it may save steps.
 * Knows the field and its limit; the engine knows when a predicted token is worth a row.
 */
import type { ChatBody } from '../schemas/chat-schema.js';
import type { Services } from '../services.js';
import { checkPromptSize } from './prompt-limits.js';

const PARAM = 'prediction.content';

/**
 * @returns nothing where nothing is predicted, or nothing is proposed
 * @throws BlockstitchError `payload_too_large` for more than a prompt may have, what the text service throws
 */
export async function predictedTokens(
  { text, config, model }: Pick<Services, 'text' | 'config' | 'model'>,
  { prediction, prompt_lookup: lookup = true }: ChatBody,
  signal: AbortSignal,
): Promise<{ predicted?: Int32Array }> {
  if (prediction === undefined) return {};
  const { content } = prediction;
  const joined = typeof content === 'string' ? content : content.map((part) => part.text).join('\n');
  checkPromptSize([joined], PARAM, config);
  if (joined === '' || !lookup || config.promptLookup === 'off') return {};
  const ids = await text.encode(joined, { param: PARAM, signal });
  // No answer is longer. A copy: the worker gets the whole buffer.
  return { predicted: ids.slice(0, model.config.maxPositions) };
}
