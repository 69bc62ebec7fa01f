/**
 * The tensors of a GGUF file under the names that `transformers` gives them, for `decoder-weights.ts`. Names are those
 * of gguf-py's tensor_mapping.py. What has no such name keeps its own, and is refused as unknown there.
 */
import { open } from 'node:fs/promises';
import type { GgufHeader } from '../../gguf/gguf-header.js';
import { refuseGguf } from '../../gguf/gguf-header.js';
import { type CheckpointTensors, readExactly } from '../checkpoint-tensors.js';
import { widen } from '../float-conversion.js';
import type { TensorEntry } from '../stored-dtype.js';

const NAMES: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};

const LAYER_NAMES: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

/** Divisors of the RoPE frequencies, as llama 3 has them. */
const ROPE_FACTORS = 'rope_freqs.weight';
const LAYER_NAME = /^blk\.(\d{1,4})\.(\w+)\.(weight|bias)$/;
const PLAIN_NAME = /^(\w+)\.(weight|bias)$/;

/**
 * @param file absolute path
 * @param pairedHead rows of a head whose query and key rows lie in pairs; undefined: all rows lie in plain order
 */
export function namedTensors(file: string, header: GgufHeader, pairedHead: number | undefined): CheckpointTensors {
  const entries = new Map<string, TensorEntry>();
  for (const { name, type, shape, offset, bytes } of header.tensors) {
    if (name === ROPE_FACTORS) continue;
    const isPaired = pairedHead !== undefined && /^blk\.\d+\.attn_[qk]\.weight$/.test(name);
    const known = knownName(name);
    entries.set(known, {
      name,
      dtype: type,
      shape,
      file,
      offset,
      bytes,
      ...(isPaired ? { pairedHead } : {}),
    });
  }
  const names = new Map([...entries].map(([known, { name }]) => [known, name]));
  return { entries, files: [file], storedName: (name) => names.get(name) ?? storedName(name) };
}

/**
 * @param rotaryDim rotated dimensions of a head
 * @returns [rotaryDim / 2] what each frequency is divided by; undefined if the file has none
 */
export async function readRopeFactors(
  file: string,
  header: GgufHeader,
  rotaryDim: number,
): Promise<readonly number[] | undefined> {
  const tensor = header.tensors.find(({ name }) => name === ROPE_FACTORS);
  if (tensor === undefined) return undefined;
  const { type, shape, offset, bytes } = tensor;
  if (type !== 'F32' || shape.length !== 1 || shape[0] !== rotaryDim / 2) {
    refuseGguf(file, `the tensor ${ROPE_FACTORS} is ${type} [${shape.join(', ')}], not F32 [${rotaryDim / 2}]`);
  }
  const factors = new Float32Array(rotaryDim / 2);
  const handle = await open(file, 'r');
  try {
    widen('F32', await readExactly(handle, file, offset, bytes), factors);
  } finally {
    await handle.close();
  }
  if (!factors.every((factor) => factor > 0 && Number.isFinite(factor))) {
    refuseGguf(file, `the tensor ${ROPE_FACTORS} has values that are not positive`);
  }
  return [...factors];
}

function knownName(name: string): string {
  const [, layer, part = '', kind] = LAYER_NAME.exec(name) ?? [];
  if (layer !== undefined && Object.hasOwn(LAYER_NAMES, part)) {
    return `model.layers.${Number(layer)}.${LAYER_NAMES[part]}.${kind}`;
  }
  const [, plain = '', plainKind] = PLAIN_NAME.exec(name) ?? [];
  return Object.hasOwn(NAMES, plain) ? `${NAMES[plain]}.${plainKind}` : name;
}

/** The name in a GGUF file of a tensor that `transformers` gives `name`: what `knownName` turns round. */
function storedName(name: string): string {
  const [, layer, rest = name] = /^model\.layers\.(\d+)\.(.*)$/.exec(name) ?? [];
  const known = Object.entries(layer === undefined ? NAMES : LAYER_NAMES);
  const [stored] = known.find(([, each]) => rest.startsWith(`${each}.`)) ?? [];
  if (stored === undefined) return name;
  const kind = rest.slice(rest.lastIndexOf('.'));
  return layer === undefined ? `${stored}${kind}` : `blk.${layer}.${stored}${kind}`;
}
