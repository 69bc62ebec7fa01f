/**
 * The ids that a tokenizer puts in front of a raw prompt (BOS): what the `post_processor` of tokenizer.json says, as
 * `transformers` reads it. `add_bos_token` of tokenizer_config.json does not count beside a tokenizer.json there (5.x,
 * tokenization_utils_base.py). Rendered chats get no such ids: their template writes what they need.
 */
import { isObject, type Json, type JsonObject, TokenizerFormatError } from './tokenizer-file.js';

/**
 * @param postProcessor of tokenizer.json
 * @returns ids in front of the text; what a processor puts behind it is left out, as a prompt goes on
 * @throws TokenizerFormatError for a template that names a token without an id
 */
export function promptPrefix(postProcessor: JsonObject | undefined): number[] {
  if (postProcessor === undefined) return [];
  if (postProcessor.type === 'Sequence' && Array.isArray(postProcessor.processors)) {
    return postProcessor.processors.filter(isObject).flatMap(promptPrefix);
  }
  if (postProcessor.type !== 'TemplateProcessing' || !Array.isArray(postProcessor.single)) return [];
  const ids: number[] = [];
  for (const piece of postProcessor.single) {
    const special = isObject(piece) ? piece.SpecialToken : undefined;
    if (!isObject(special)) break;
    ids.push(...idsOf(postProcessor.special_tokens ?? null, special.id ?? null));
  }
  return ids;
}

function idsOf(table: Json, name: Json): number[] {
  const entry = isObject(table) && typeof name === 'string' ? table[name] : undefined;
  const ids = isObject(entry) ? entry.ids : undefined;
  if (!Array.isArray(ids) || ids.some((id) => !Number.isInteger(id))) {
    throw new TokenizerFormatError(`post_processor names ${JSON.stringify(name)}, which has no ids there`);
  }
  return ids as number[];
}
