/**
 * Rotary position embedding: reads a checkpoint's RoPE settings in either spelling (`rope_scaling` + `rope_theta`, or
 * the newer `rope_parameters`) and computes the cos/sin tables that the BlockAttention op takes.
 * Knows the variants default, linear, llama3 and yarn. It refuses any other by name.
 */
import { BlockstitchError } from '../errors.js';
import { shownValue } from './field-reader.js';

export type RopeSettings = { theta: number } & (
  | { type: 'default' }
  | { type: 'linear'; factor: number }
  | {
      type: 'llama3';
      factor: number;
      lowFreqFactor: number;
      highFreqFactor: number;
      originalMaxPositions: number;
    }
  | {
      type: 'yarn';
      factor: number;
      originalMaxPositions: number;
      betaFast: number;
      betaSlow: number;
      /** Scales cos and sin, and so scores by its square. */
      attentionFactor: number;
      /** Whether the ramp's ends are rounded to whole dimensions. */
      truncate: boolean;
    }
  /** Each frequency is divided by a number of its own: GGUF files state llama3's rule so. [rotaryDim / 2] */
  | { type: 'factors'; factors: readonly number[] }
);

const DEFAULT_THETA = 10_000;

/** Types that a config.json may name. */
type NamedType = Exclude<RopeSettings['type'], 'factors'>;

const KNOWN_KEYS: Readonly<Record<NamedType, readonly string[]>> = {
  default: [],
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
  yarn: [
    'factor',
    'original_max_position_embeddings',
    'beta_fast',
    'beta_slow',
    'attention_factor',
    'mscale',
    'mscale_all_dim',
    'truncate',
  ],
};

/**
 * Reads the RoPE settings of a config.json.
 *
 * @param path the file, for messages
 * @param config the parsed file
 * @param maxPositions its max_position_embeddings
 * @throws BlockstitchError `checkpoint_invalid` on an unknown variant, an unknown key or a value out of range
 */
export function readRopeSettings(path: string, config: Record<string, unknown>, maxPositions: number): RopeSettings {
  const source = ropeSource(path, config);
  const type = ropeType(path, source);
  if ((source.partial_rotary_factor ?? config.partial_rotary_factor ?? 1) !== 1) {
    throw invalid(path, 'its partial_rotary_factor is not 1, which is unsupported');
  }
  const known = [...KNOWN_KEYS[type], 'rope_type', 'type', 'rope_theta', 'partial_rotary_factor'];
  const unknown = Object.keys(source).find((key) => source[key] !== null && !known.includes(key));
  if (unknown !== undefined) throw invalid(path, `its RoPE type "${type}" has the unknown setting "${unknown}"`);
  const number = (key: string, fallback?: number): number => {
    const value = source[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
      throw invalid(path, `its RoPE setting "${key}" is ${shownValue(value ?? null)}, not a positive number`);
    }
    return value;
  };
  const theta = number('rope_theta', (config.rope_theta as number | undefined) ?? DEFAULT_THETA);
  if (type === 'default') return { type, theta };
  const factor = number('factor');
  if (factor < 1) throw invalid(path, `its RoPE factor ${factor} is below 1`);
  if (type === 'linear') return { type, theta, factor };
  const originalMaxPositions = number('original_max_position_embeddings', maxPositions);
  if (type === 'llama3') {
    const lowFreqFactor = number('low_freq_factor');
    const highFreqFactor = number('high_freq_factor');
    if (highFreqFactor <= lowFreqFactor) {
      throw invalid(path, `its RoPE high_freq_factor ${highFreqFactor} is not above low_freq_factor ${lowFreqFactor}`);
    }
    return { type, theta, factor, lowFreqFactor, highFreqFactor, originalMaxPositions };
  }
  const truncate = source.truncate ?? true;
  if (typeof truncate !== 'boolean') throw invalid(path, 'its RoPE setting "truncate" is not true or false');
  return {
    type,
    theta,
    factor,
    originalMaxPositions,
    betaFast: number('beta_fast', 32),
    betaSlow: number('beta_slow', 1),
    attentionFactor: yarnAttentionFactor(source, factor, number),
    truncate,
  };
}

/** Positions that a model with these settings was made for: linear and yarn scaling stretches them. */
export function scaledPositions(settings: RopeSettings, maxPositions: number): number {
  if (settings.type === 'linear') return Math.floor(maxPositions * settings.factor);
  if (settings.type === 'yarn') {
    return Math.max(maxPositions, Math.floor(settings.originalMaxPositions * settings.factor));
  }
  return maxPositions;
}

/**
 * Tables for positions 0..positions-1, computed in float64 and rounded once to float32.
 *
 * @param rotaryDim rotated dimensions of a head, even
 * @returns cos and sin, float32 [positions, rotaryDim / 2]; they include yarn's attention factor
 */
export function ropeTables(
  settings: RopeSettings,
  rotaryDim: number,
  positions: number,
): { cos: Float32Array; sin: Float32Array } {
  const frequencies = inverseFrequencies(settings, rotaryDim);
  const scale = settings.type === 'yarn' ? settings.attentionFactor : 1;
  const half = rotaryDim / 2;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0, at = 0; position < positions; position++) {
    for (let i = 0; i < half; i++, at++) {
      const angle = position * (frequencies[i] as number);
      cos[at] = Math.cos(angle) * scale;
      sin[at] = Math.sin(angle) * scale;
    }
  }
  return { cos, sin };
}

/**
 * Radians per position for each pair of dimensions.
 *
 * @returns float64 [rotaryDim / 2]
 * default: theta^(-2i/d) (arXiv 2104.09864, section 3.2.2). linear: all divided by the factor (arXiv 2306.15595).
 * yarn: arXiv 2309.00071, section 3.2. llama3: the piecewise rule of the Llama 3.1 release.
 */
export function inverseFrequencies(settings: RopeSettings, rotaryDim: number): Float64Array {
  const frequencies = new Float64Array(rotaryDim / 2);
  const ramp = settings.type === 'yarn' ? yarnRamp(settings, rotaryDim) : undefined;
  for (let i = 0; i < frequencies.length; i++) {
    const base = settings.theta ** ((-2 * i) / rotaryDim);
    if (settings.type === 'default') frequencies[i] = base;
    else if (settings.type === 'linear') frequencies[i] = base / settings.factor;
    else if (settings.type === 'factors') frequencies[i] = base / (settings.factors[i] as number);
    else if (settings.type === 'llama3') frequencies[i] = llama3Frequency(settings, base);
    else frequencies[i] = mix(base, base / settings.factor, ramp?.(i) ?? 0);
  }
  return frequencies;
}

/** Short waves stay. Long waves are slowed by the factor. Waves between get a mixture. */
function llama3Frequency(settings: Extract<RopeSettings, { type: 'llama3' }>, base: number): number {
  const turns = (settings.originalMaxPositions * base) / (2 * Math.PI);
  const slow = base / settings.factor;
  if (turns > settings.highFreqFactor) return base;
  if (turns < settings.lowFreqFactor) return slow;
  const keep = (turns - settings.lowFreqFactor) / (settings.highFreqFactor - settings.lowFreqFactor);
  return mix(slow, base, keep);
}

/** Share of interpolation by dimension: 0 if a pair turns more than betaFast times, 1 if less than betaSlow times. */
function yarnRamp(settings: Extract<RopeSettings, { type: 'yarn' }>, rotaryDim: number): (pair: number) => number {
  const pairOf = (turns: number): number =>
    (rotaryDim * Math.log(settings.originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(settings.theta));
  let low = pairOf(settings.betaFast);
  let high = pairOf(settings.betaSlow);
  if (settings.truncate) {
    low = Math.floor(low);
    high = Math.ceil(high);
  }
  low = Math.max(low, 0);
  high = Math.min(high, rotaryDim - 1);
  if (high === low) high += 0.001;
  return (pair) => Math.min(1, Math.max(0, (pair - low) / (high - low)));
}

function yarnAttentionFactor(source: Record<string, unknown>, factor: number, number: (key: string) => number): number {
  if (source.attention_factor !== undefined && source.attention_factor !== null) return number('attention_factor');
  const temperature = (mscale: number): number => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
  if (source.mscale && source.mscale_all_dim)
    return temperature(number('mscale')) / temperature(number('mscale_all_dim'));
  return temperature(1);
}

function ropeSource(path: string, config: Record<string, unknown>): Record<string, unknown> {
  const { rope_parameters: parameters, rope_scaling: scaling } = config;
  // As `transformers` has it (5.x, convert_rope_params_to_dict): a rope_scaling that is there and not empty wins.
  const wins = isEmpty(scaling) ? (parameters ?? {}) : scaling;
  if (typeof wins !== 'object' || wins === null || Array.isArray(wins)) {
    throw invalid(path, 'its RoPE settings are not an object');
  }
  const record = wins as Record<string, unknown>;
  if (wins === scaling) requireSameTheta(path, config, record);
  const nested = Object.keys(record).find((key) => typeof record[key] === 'object' && record[key] !== null);
  if (nested !== undefined)
    throw invalid(path, `its RoPE settings differ by layer type ("${nested}"), which is unsupported`);
  return record;
}

function isEmpty(settings: unknown): boolean {
  if (settings === undefined || settings === null) return true;
  return typeof settings === 'object' && !Array.isArray(settings) && Object.keys(settings).length === 0;
}

/** rope_scaling replaces rope_parameters whole. Its writer hardly means to lose the base that stands in the latter. */
function requireSameTheta(path: string, config: Record<string, unknown>, scaling: Record<string, unknown>): void {
  const parameters = config.rope_parameters as { rope_theta?: unknown } | undefined | null;
  const lost = typeof parameters === 'object' ? parameters?.rope_theta : undefined;
  const used = scaling.rope_theta ?? config.rope_theta ?? DEFAULT_THETA;
  if (lost === undefined || lost === null || lost === used) return;
  throw invalid(
    path,
    `its rope_scaling replaces its rope_parameters, so rope_theta would be ${shownValue(used)}, not ` +
      `${shownValue(lost)}: put the scaling into rope_parameters, or rope_theta into rope_scaling`,
  );
}

function ropeType(path: string, source: Record<string, unknown>): NamedType {
  const type = source.rope_type ?? source.type ?? 'default';
  if (typeof type !== 'string' || !Object.hasOwn(KNOWN_KEYS, type)) {
    throw invalid(
      path,
      `its RoPE type ${shownValue(type)} is unsupported (known: ${Object.keys(KNOWN_KEYS).join(', ')})`,
    );
  }
  return type as NamedType;
}

function mix(a: number, b: number, share: number): number {
  return a * (1 - share) + b * share;
}

function invalid(path: string, reason: string): BlockstitchError {
  return new BlockstitchError('checkpoint_invalid', { path, reason });
}
