/** The same ids as the Python `tokenizers` library, for every kind of tokenizer that the model families use. */
import { beforeAll, describe, expect, it } from 'vitest';
import { readTokenizerDefinition } from '../../../src/text/read-tokenizer.js';
import { Tokenizer } from '../../../src/text/tokenizer.js';
import { directoryOf, GOLDEN, KINDS, longTexts, summary, TEXTS } from '../../support/tokenizer-fixtures.js';

describe.each(KINDS)('the tokenizer kind %s', (kind) => {
  const golden = GOLDEN[kind];
  let tokenizer: Tokenizer;

  beforeAll(async () => {
    tokenizer = new Tokenizer(await readTokenizerDefinition(directoryOf(kind)));
  });

  it('gives the ids of the Python library, control tokens parsed', () => {
    for (const [name, text] of Object.entries(TEXTS)) {
      expect(summary(tokenizer.encode(text, { parseControl: true })), name).toEqual(golden?.parsed[name]);
    }
  });

  it('gives the ids of the Python library where control tokens stay text', () => {
    for (const [name, text] of Object.entries(TEXTS)) {
      expect(summary(tokenizer.encode(text)), name).toEqual(golden?.plain[name]);
    }
  });

  it('gives the ids of the Python library for a megabyte of one letter and other monotonous texts', () => {
    for (const [name, text] of Object.entries(longTexts())) {
      expect(summary(tokenizer.encode(text)), name).toEqual(golden?.long[name]);
    }
  });

  it('decodes to the text of the Python library', () => {
    for (const [name, text] of Object.entries(TEXTS)) {
      expect(tokenizer.decode(tokenizer.encode(text, { parseControl: true })), name).toBe(golden?.decoded[name]);
    }
  });

  it('never makes a control token of a text that is not parsed', () => {
    const controls = [...tokenizer.controlIds].map((id) => tokenizer.token(id) ?? '');
    for (const text of [...controls, controls.join(''), controls.join(' x ')]) {
      expect(
        [...tokenizer.encode(text)].filter((id) => tokenizer.controlIds.has(id) && tokenizer.token(id) !== '<unk>'),
      ).toEqual([]);
    }
  });
});
