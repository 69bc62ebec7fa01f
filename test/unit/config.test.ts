import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.js';

describe('API keys', () => {
  test('that are not set leave the server open, and are read without the spaces around them', () => {
    expect(loadConfig({}, {}).apiKeys).toEqual([]);
    expect(loadConfig({}, { BLOCKSTITCH_API_KEYS: '' }).apiKeys).toEqual([]);
    expect(loadConfig({}, { BLOCKSTITCH_API_KEYS: ' a, b,' }).apiKeys).toEqual(['a', 'b']);
  });

  test.each([',', ' ', ',,'])('that are set to %j hold no key, and the server does not start without one', (keys) => {
    expect(() => loadConfig({}, { BLOCKSTITCH_API_KEYS: keys })).toThrow('it is set but holds no key');
  });
});
