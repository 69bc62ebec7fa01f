/**
 * Finds a key that stands twice in one object of a JSON text. JSON.parse silently keeps the last of two equal keys. So
 * a hostile file could show one tensor to a checker and another to the loader.
 * Knows JSON's lexical structure only. Takes only text that JSON.parse has accepted.
 */

/**
 * @param text valid JSON
 * @returns the first key (unescaped) that an object repeats, at any depth; undefined if there is none
 */
export function repeatedKey(text: string): string | undefined {
  /** One entry per open bracket: the keys seen so far, or undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '{') open.push(new Set());
    else if (char === '[') open.push(undefined);
    else if (char === '}' || char === ']') open.pop();
    else if (char === '"') {
      const end = stringEnd(text, at);
      const keys = open.at(-1);
      if (keys !== undefined && isKey(text, end)) {
        const key = JSON.parse(text.slice(at, end)) as string;
        if (keys.has(key)) return key;
        keys.add(key);
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** Index after the closing quote of the string that opens at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** A string is a key if a colon comes next, after any white space. */
function isKey(text: string, end: number): boolean {
  let at = end;
  while (at < text.length && (text[at] === ' ' || text[at] === '\t' || text[at] === '\n' || text[at] === '\r')) at++;
  return text[at] === ':';
}
