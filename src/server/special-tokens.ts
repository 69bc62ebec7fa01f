/**
 * Resolves what several files of a checkpoint say of its special tokens: config.json, generation_config.json (read by
 * src/model) and the tokenizer's own files (read by src/text). As `transformers` and vLLM do: an answer ends at a token
 * that any of them names; raw prompts get what the tokenizer puts in front. The only place that does so.
 */
import type { ImportedModel, ModelConfig } from '../model/imported-model.js';
import { type BlockEdges, NO_EDGES } from '../prompt/block-edges.js';
import type { TextService } from '../text/text-service.js';
import { isObject, type Json } from '../text/tokenizer-file.js';

export interface SpecialTokens {
  /** Ids that end an answer: the union of all files. */
  eosTokenIds: number[];
  /** What every prompt under block attention begins with: the checkpoint's sinks, else BOS, else none. */
  sinkTokenIds: Int32Array;
  /** What stands around every block, if the checkpoint has sinks there. */
  edges: BlockEdges;
  /** Whether prompts under full attention begin with the sinks too: learned sinks do, a mere BOS does not. */
  sinksUnderFull: boolean;
  /** What is unusual, a line each. */
  notices: string[];
}

type Text = Pick<TextService, 'config' | 'tokenizer' | 'idLimit'>;

export function resolveSpecialTokens({ config }: Pick<ImportedModel, 'config'>, text: Text): SpecialTokens {
  const notices: string[] = [];
  const named = idOf('eos_token', text, notices);
  const eosTokenIds = [...new Set([...config.eosTokenIds, ...(named === undefined ? [] : [named])])];
  if (eosTokenIds.length === 0) {
    notices.push(
      'no file names a token that ends an answer (eos_token_id in config.json or generation_config.json, eos_token in ' +
        'tokenizer_config.json): answers run to max_tokens',
    );
  }
  return { eosTokenIds, ...sinksOf(config, text, notices), notices };
}

function sinksOf(
  config: ModelConfig,
  text: Text,
  notices: string[],
): Pick<SpecialTokens, 'sinkTokenIds' | 'edges' | 'sinksUnderFull'> {
  if (config.blockAttention) {
    const { sinkTokenIds, edges } = config.blockAttention;
    return {
      sinkTokenIds: Int32Array.from(sinkTokenIds),
      edges: edges ? { start: Int32Array.from(edges.start), end: Int32Array.from(edges.end) } : NO_EDGES,
      sinksUnderFull: true,
    };
  }
  const bos = config.bosTokenId ?? idOf('bos_token', text, notices);
  return { sinkTokenIds: Int32Array.from(bos === undefined ? [] : [bos]), edges: NO_EDGES, sinksUnderFull: false };
}

/** The id of a token that tokenizer_config.json names; a name without an id that the model has is said, not taken. */
function idOf(name: string, { config, tokenizer, idLimit }: Text, notices: string[]): number | undefined {
  const content = contentOf(config[name] ?? null);
  if (content === undefined || content === '') return undefined;
  const id = tokenizer.tokenId(content);
  if (id !== undefined && id < idLimit) return id;
  const why = id === undefined ? 'tokenizer.json does not have' : `has the id ${id}, which the model does not have`;
  notices.push(`tokenizer_config.json names the ${name} ${JSON.stringify(content)}, which ${why}: it is ignored`);
  return undefined;
}

/** A token's text: a string, or an object with its `content`. */
function contentOf(value: Json): string | undefined {
  const content = isObject(value) ? value.content : value;
  return typeof content === 'string' ? content : undefined;
}
