/** RoPE against numbers that `transformers` computed (training/fixtures/make_checkpoints.py writes rope.json). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inverseFrequencies, readRopeSettings, ropeTables, scaledPositions } from '../../../src/model/rope.js';

interface Row {
  settings: Record<string, unknown>;
  headDim: number;
  frequencies: number[];
  attentionFactor: number;
}

const ROWS = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../fixtures/checkpoints/rope.json'), 'utf8'),
) as Row[];
const MAX_POSITIONS = 131_072;

test('every variant is among the numbers compared', () => {
  expect(new Set(ROWS.map(({ settings }) => settings.rope_type))).toEqual(
    new Set(['default', 'linear', 'llama3', 'yarn']),
  );
});

describe.each(ROWS)('$settings with head_dim $headDim', ({ settings, headDim, frequencies, attentionFactor }) => {
  test('turns each pair of dimensions as transformers does', () => {
    const rope = readRopeSettings('config.json', { rope_parameters: settings }, MAX_POSITIONS);
    const ours = inverseFrequencies(rope, headDim);
    expect(ours).toHaveLength(frequencies.length);
    for (const [index, expected] of frequencies.entries()) {
      expect(Math.abs((ours[index] as number) / expected - 1)).toBeLessThan(2e-6);
    }
    expect(rope.type === 'yarn' ? rope.attentionFactor : 1).toBeCloseTo(attentionFactor, 6);
  });

  test('gives the same in the older spelling', () => {
    const { rope_theta: theta, ...scaling } = settings;
    const newer = readRopeSettings('config.json', { rope_parameters: settings }, MAX_POSITIONS);
    const older = readRopeSettings('config.json', { rope_scaling: scaling, rope_theta: theta }, MAX_POSITIONS);
    expect(older).toEqual(newer);
  });
});

test('tables hold cosine and sine of position times frequency, times yarn', () => {
  const rope = readRopeSettings(
    'config.json',
    { rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 32, attention_factor: 1.5 } },
    32,
  );
  const { cos, sin } = ropeTables(rope, 8, 5);
  const frequencies = inverseFrequencies(rope, 8);
  for (let position = 0; position < 5; position++) {
    for (let pair = 0; pair < 4; pair++) {
      const angle = position * (frequencies[pair] as number);
      expect(cos[position * 4 + pair]).toBeCloseTo(1.5 * Math.cos(angle), 6);
      expect(sin[position * 4 + pair]).toBeCloseTo(1.5 * Math.sin(angle), 6);
    }
  }
});

test('linear and yarn stretch the positions that a model was made for', () => {
  const read = (scaling: object) => readRopeSettings('config.json', { rope_scaling: scaling }, 4096);
  expect(scaledPositions(read({ type: 'linear', factor: 2 }), 4096)).toBe(8192);
  expect(scaledPositions(read({ type: 'yarn', factor: 4, original_max_position_embeddings: 4096 }), 4096)).toBe(16_384);
  expect(scaledPositions(read({ type: 'yarn', factor: 2, original_max_position_embeddings: 64 }), 4096)).toBe(4096);
  expect(scaledPositions(read({}), 4096)).toBe(4096);
});

describe('settings that are not known', () => {
  test.each<[object, string]>([
    [{ rope_scaling: { rope_type: 'dynamic', factor: 2 } }, '"dynamic" is unsupported'],
    [{ rope_scaling: { rope_type: 'longrope' } }, '"longrope" is unsupported'],
    [{ rope_scaling: { type: 'constructor' } }, '"constructor" is unsupported'],
    [{ rope_scaling: { type: 7 } }, '7 is unsupported'],
    [{ rope_scaling: { type: 'linear', factor: 2, ramp: 1 } }, 'unknown setting "ramp"'],
    [{ rope_scaling: { type: 'linear' } }, '"factor" is null'],
    [{ rope_scaling: { type: 'linear', factor: -1 } }, '"factor" is -1'],
    [{ rope_scaling: { type: 'linear', factor: 0.5 } }, 'factor 0.5 is below 1'],
    [{ rope_scaling: { type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 1 } }, 'is not above'],
    [{ rope_scaling: { type: 'yarn', factor: 4, truncate: 'no' } }, '"truncate" is not true or false'],
    [{ rope_scaling: [] }, 'not an object'],
    [{ rope_parameters: { full_attention: { rope_type: 'default' } } }, 'differ by layer type ("full_attention")'],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor is not 1'],
    [{ rope_theta: 0 }, '"rope_theta" is 0'],
    [{ rope_theta: 'ten thousand' }, '"rope_theta" is'],
  ])('%j are refused by name', (config, reason) => {
    expect(() => readRopeSettings('config.json', config as Record<string, unknown>, 4096)).toThrow(reason);
  });
});
