/** Bytes of tokens, against what the platform's own decoder takes for UTF-8. */
import { describe, expect, test } from 'vitest';
import { CharacterBytes, mayBeText } from '../../../src/grammar/character-bytes.js';

const decodes = (bytes: readonly number[]) => {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
    return true;
  } catch {
    return false;
  }
};

describe('the bytes of characters', () => {
  test('every byte may be text but those that UTF-8 never has', () => {
    const never = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !mayBeText(Uint8Array.of(byte)));
    expect(never).toEqual([0xc0, 0xc1, ...Array.from({ length: 11 }, (_, index) => 0xf5 + index)]);
  });

  test('a mask behind a leading byte keeps exactly what makes a character', () => {
    const characters = new CharacterBytes(256, (id) => Uint8Array.of(id));
    for (let lead = 0xc2; lead <= 0xf4; lead++) {
      const mask = new Int32Array(8).fill(-1);
      characters.narrow(mask, lead);
      const rest = lead < 0xe0 ? [] : lead < 0xf0 ? [0x80] : [0x80, 0x80];
      for (let next = 0x80; next <= 0xbf; next++) {
        const isKept = (((mask[next >> 5] as number) >>> (next & 31)) & 1) === 1;
        const isCharacter = decodes([lead, next, ...rest]);
        expect([lead, next, isKept]).toEqual([lead, next, isCharacter]);
        expect(mayBeText(Uint8Array.of(lead, next, ...rest))).toBe(isCharacter);
      }
    }
  });

  test('a mask behind any other byte stays as it is', () => {
    const characters = new CharacterBytes(256, (id) => Uint8Array.of(id));
    for (const last of [undefined, 0x41, 0x80, 0xbf]) {
      const mask = new Int32Array(8).fill(-1);
      characters.narrow(mask, last);
      expect(mask.every((word) => word === -1)).toBe(true);
    }
  });
});
