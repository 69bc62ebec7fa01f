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

describe('the collector of traces', () => {
  test.each(['collector', 'ftp://x', 'http:///', 'user:secret@host:4318'])(
    '%j is no address, and is not repeated',
    (otlpEndpoint) => {
      const load = () => loadConfig({ otlpEndpoint }, {});
      expect(load).toThrow('--otlp-endpoint');
      expect(load).not.toThrow(otlpEndpoint);
      expect(loadConfig({ otlpEndpoint: 'http://127.0.0.1:4318' }, {}).otlpEndpoint).toBe('http://127.0.0.1:4318');
    },
  );
});
