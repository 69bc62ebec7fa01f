import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.js';
import { parseDevice } from '../../src/units.js';

describe('--device', () => {
  test.each([
    ['cpu', []],
    ['cuda', [0]],
    ['cuda:3', [3]],
    ['cuda:1,0', [1, 0]],
  ])('%s names GPUs %j', (text, numbers) => {
    expect(parseDevice(text)).toEqual(numbers);
    expect(loadConfig({ device: text }, {}).device).toBe(text);
  });

  test.each(['gpu', 'cuda:', 'cuda:0,0', 'cuda:-1', 'cuda:a', 'CPU'])('%s is refused, naming the setting', (text) => {
    expect(() => loadConfig({ device: text }, {})).toThrow(/--device is invalid/);
  });
});
