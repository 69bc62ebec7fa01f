/**
 * Says in plain words what JSON.parse says of a text that is not JSON: a clause that ends a sentence. Knows V8's messages,
 * of Node 20 and later; a message that it does not know passes as it is.
 */

const UNEXPECTED = /^Unexpected token '([\s\S])', (\.\.\.)?"([\s\S]*)"(\.\.\.)? is not valid JSON$/;
const WHOLE = /^"([\s\S]*)" is not valid JSON$/;
/** Newer versions add it to the position. */
const LINE_AND_COLUMN = / \(line \d+ column \d+\)$/;

/** @returns such as `'o' is not expected in {"a":oops}`, or `expected ',' or ']' after array element at position 3` */
export function jsonFault(message: string): string {
  if (message === 'Unexpected end of JSON input') return 'it ends too early';
  const [, character, before = '', context, behind = ''] = UNEXPECTED.exec(message) ?? [];
  if (character !== undefined && context !== undefined) {
    return `${named(character)} is not expected in ${before}${onOneLine(context)}${behind}`;
  }
  const [, whole] = WHOLE.exec(message) ?? [];
  if (whole !== undefined) return `it is ${onOneLine(whole)}`;
  const words = message.replace(LINE_AND_COLUMN, '').replace(' in JSON at position', ' at position');
  return words.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}

/** What cannot be seen, or is half of a pair, has a number. */
function named(character: string): string {
  if (/[!-~]/.test(character)) return `'${character}'`;
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

function onOneLine(text: string): string {
  return text.toWellFormed().replace(/[\s\p{Cc}]+/gu, ' ');
}
