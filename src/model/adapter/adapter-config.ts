/**
 * Reads an adapter's adapter_config.json, as the Python library PEFT writes it for LoRA, and its `block_attention`
 * section. Every setting that would change the arithmetic in a way that merging does not have is refused by name.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BlockstitchError } from '../../errors.js';
import { FieldReader, readFieldFile, shownValue } from '../field-reader.js';

export interface AdapterConfig {
  /** lora_alpha of a module, by the module's name in the base, e.g. `model.layers.0.self_attn.q_proj`. */
  alphaOf(module: string): number;
  /** Whether the scale is alpha / sqrt(r) (rsLoRA, arXiv 2312.03732) instead of alpha / r. */
  rankStabilized: boolean;
  /** Trained rows of a table, by the last part of its name. */
  tokenRows: ReadonlyMap<string, readonly number[]>;
  /** The `block_attention` section; undefined if there is none. */
  blockAttention: FieldReader | undefined;
  /** All bytes that were read, for the fingerprint. */
  bytes: Uint8Array;
}

export const ADAPTER_CONFIG = 'adapter_config.json';
/** The section may also stand in a file of its own, since PEFT warns of fields that it does not know. */
const BLOCK_ATTENTION_FILE = 'block_attention.json';

/** Settings that have no part in merging: where it came from, how it was trained, what was trained. */
const HARMLESS = new Set([
  'auto_mapping',
  'base_model_name_or_path',
  'corda_config',
  'eva_config',
  'exclude_modules',
  'inference_mode',
  'layers_pattern',
  'layers_to_transform',
  'lora_alpha',
  'lora_dropout',
  'megatron_core',
  'modules_to_save',
  'peft_type',
  'peft_version',
  'qalora_group_size',
  'r',
  'rank_pattern',
  'alpha_pattern',
  'revision',
  'runtime_config',
  'target_modules',
  'task_type',
  'trainable_token_indices',
  'use_rslora',
  'block_attention',
  'init_lora_weights',
]);

/** Ways to begin that leave the base as it is. Others (PiSSA, OLoRA, LoftQ) take their start out of its weights. */
const PLAIN_STARTS: readonly unknown[] = [undefined, null, true, false, 'gaussian', 'orthogonal', 'eva'];

const MAX_INDEX = 1 << 24;

/** @throws BlockstitchError `checkpoint_invalid` naming file and field */
export async function readAdapterConfig(directory: string): Promise<AdapterConfig> {
  const path = join(directory, ADAPTER_CONFIG);
  if (!existsSync(path)) {
    const reason = existsSync(directory)
      ? `it has no ${ADAPTER_CONFIG}, so it is no PEFT adapter`
      : 'there is no such directory; --adapter takes a PEFT adapter';
    throw new BlockstitchError('checkpoint_invalid', { path: directory, reason });
  }
  const bytes = await readFieldFile(path);
  const fields = FieldReader.parse(path, bytes);
  refuseUnsupported(fields);
  const patterns = readPatterns(fields);
  const alpha = fields.optionalNumber('lora_alpha', 0, 1e6) ?? 8;
  const section = await readBlockAttention(directory, fields);
  return {
    alphaOf: (module) => patterns.find(({ pattern }) => pattern.test(module))?.alpha ?? alpha,
    rankStabilized: fields.optionalBoolean('use_rslora') ?? false,
    tokenRows: readTokenRows(fields),
    blockAttention: section.fields,
    bytes: Buffer.concat([bytes, section.bytes]),
  };
}

function refuseUnsupported(fields: FieldReader): void {
  const { record } = fields;
  if (record.peft_type !== 'LORA') {
    fields.fail(`its peft_type ${shownValue(record.peft_type ?? null)} is unsupported (known: LORA)`);
  }
  if (!PLAIN_STARTS.includes(record.init_lora_weights)) {
    fields.fail(
      `its init_lora_weights ${shownValue(record.init_lora_weights)} changes the base itself: convert it to a plain ` +
        'LoRA first (PEFT: save_pretrained with path_initial_model_for_weight_conversion)',
    );
  }
  if ((record.bias ?? 'none') !== 'none') {
    fields.fail(`its bias ${shownValue(record.bias)} is unsupported (known: "none")`);
  }
  for (const [key, value] of Object.entries(record)) {
    if (key === 'bias' || HARMLESS.has(key) || isOff(value)) continue;
    fields.fail(`its ${key} ${shownValue(value)} is unsupported`);
  }
}

/** True for a value by which a setting is not used. */
function isOff(value: unknown): boolean {
  if (value === null || value === false || value === '') return true;
  return typeof value === 'object' && Object.keys(value as object).length === 0;
}

/** alpha_pattern: names or regular expressions; the first that matches a module's whole name or its end counts. */
function readPatterns(fields: FieldReader): { pattern: RegExp; alpha: number }[] {
  return Object.entries(fields.section('alpha_pattern')?.record ?? {}).map(([key, alpha]) => {
    if (typeof alpha !== 'number' || !(alpha >= 0)) {
      return fields.fail(`its alpha_pattern of ${shownValue(key)} is ${shownValue(alpha)}, not a number`);
    }
    // Python's expressions may be slow on purpose. Names of modules need letters, digits, dots and simple classes.
    if (!/^[\w.\\[\]^$|*+?-]{1,200}$/.test(key) || /[*+?]{2}|[*+].*[*+].*[*+]/.test(key)) {
      return fields.fail(`its alpha_pattern has ${shownValue(key)}, which is no simple pattern of names`);
    }
    try {
      return { pattern: new RegExp(`^(?:.*\\.)?(?:${key})$`), alpha };
    } catch {
      return fields.fail(`its alpha_pattern has ${shownValue(key)}, which is no pattern`);
    }
  });
}

/** A list of indices is for the embedding; a map has one for each table. */
function readTokenRows(fields: FieldReader): Map<string, number[]> {
  const given = fields.record.trainable_token_indices ?? undefined;
  if (given === undefined) return new Map();
  if (Array.isArray(given)) return new Map([['embed_tokens', fields.tokenIds('trainable_token_indices', MAX_INDEX)]]);
  const section = fields.section('trainable_token_indices');
  const names = Object.keys(section?.record ?? {});
  return new Map(names.map((name) => [name.split('.').at(-1) ?? name, section?.tokenIds(name, MAX_INDEX) ?? []]));
}

async function readBlockAttention(
  directory: string,
  config: FieldReader,
): Promise<{ fields: FieldReader | undefined; bytes: Uint8Array }> {
  const path = join(directory, BLOCK_ATTENTION_FILE);
  const section = config.section('block_attention');
  if (!existsSync(path)) return { fields: section, bytes: new Uint8Array() };
  if (section !== undefined) config.fail(`its block_attention stands in ${BLOCK_ATTENTION_FILE} too: keep one of them`);
  const bytes = await readFieldFile(path);
  return { fields: FieldReader.parse(path, bytes), bytes };
}
