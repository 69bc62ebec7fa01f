/** What is said of a text that is not JSON, in the words of each Node version. */
import { expect, test } from 'vitest';
import { jsonFault } from '../../../src/server/json-fault.js';

const said = (text: string) => {
  try {
    return JSON.parse(text) as never;
  } catch (error) {
    return jsonFault((error as Error).message);
  }
};

test.each([
  ['oops', "'o' is not expected in oops"],
  ['{"a":NaN}', `'N' is not expected in {"a":NaN}`],
  ['{"messages":[{"role":"user"}],"x":oops,"stream":true}', `'o' is not expected in ...er"}],"x":oops,"stre...`],
  ['{"a":\n\n\toops}', `'o' is not expected in {"a": oops}`],
  ['[,]', "',' is not expected in [,]"],
  ["'", "''' is not expected in '"],
  ['{"a":é}', 'U+00E9 is not expected in {"a":é}'],
  ['[\u00a0]', 'U+00A0 is not expected in [ ]'],
  ['[😀]', 'U+D83D is not expected in [😀]'],
  ['undefined', 'it is undefined'],
  ['{"a":', 'it ends too early'],
  ['{"a":1 "b":2}', "expected ',' or '}' after property value at position 7"],
  ['{"a":1,}', 'expected double-quoted property name at position 7'],
  ['{} {}', 'unexpected non-whitespace character after JSON at position 3'],
])('of %j', (text, words) => {
  expect(said(text)).toBe(words);
});

test('a place is named alike by Node 20 and by later versions, which add line and column', () => {
  const message = 'Bad control character in string literal in JSON at position 7';
  const words = 'bad control character in string literal at position 7';
  expect([jsonFault(message), jsonFault(`${message} (line 1 column 8)`)]).toEqual([words, words]);
});

test('a message that is not known passes as it is', () => {
  expect(jsonFault('JSON Parse error: Unexpected EOF')).toBe('JSON Parse error: Unexpected EOF');
});
