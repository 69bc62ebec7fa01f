import { expect, test } from 'vitest';
import { outsidePassages } from '../../../src/prompt/message-passages.js';

test('outside its passages a message has the instruction and the question', () => {
  const content = 'Read. [1] The kettle. [2] The lamp. Why?';
  const span = (text: string, message = 0) => {
    const start = content.indexOf(text);
    return { message, start, end: start + text.length, segments: [] };
  };
  const passages = [span('The kettle.'), span('The lamp.'), span('Why?', 1)];
  expect(outsidePassages(content, 0, passages)).toBe('Read. [1]   [2]   Why?');
  expect(outsidePassages(content, 2, passages)).toBe(content);
});
