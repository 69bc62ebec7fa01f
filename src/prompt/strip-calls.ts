/**
 * `text.strip(characters)` in chat templates, as Python has it. The Jinja library strips white space whatever the
 * characters are (0.5.11), which loses spaces that Qwen's templates keep. So such calls are replaced, in the parsed
 * template, by calls of functions that this file gives to the rendering. Knows the library's tree.
 */

interface Node {
  type: string;
  [field: string]: unknown;
}

const PREFIX = 'blockstitch_';

/** For the rendering's variables. */
export const STRIP_FUNCTIONS: Readonly<Record<string, (text: unknown, characters: unknown) => unknown>> = {
  [`${PREFIX}strip`]: (text, characters) => stripEnd(stripStart(text, characters), characters),
  [`${PREFIX}lstrip`]: stripStart,
  [`${PREFIX}rstrip`]: stripEnd,
};

/** Replaces the calls in a parsed template. */
export function replaceStripCalls(root: object): void {
  const left: object[] = [root];
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    const { type, callee, args } = node as Node;
    if (type === 'CallExpression' && Array.isArray(args) && args.length === 1) {
      const { type: member, computed, object, property } = callee as Node;
      const name = `${PREFIX}${String((property as Node | undefined)?.value)}`;
      if (member === 'MemberExpression' && computed === false && Object.hasOwn(STRIP_FUNCTIONS, name)) {
        Object.assign(node, { callee: { type: 'Identifier', value: name }, args: [object, ...args] });
      }
    }
    for (const child of Object.values(node)) if (typeof child === 'object' && child !== null) left.push(child);
  }
}

function stripStart(text: unknown, characters: unknown): unknown {
  if (typeof text !== 'string' || typeof characters !== 'string') throw new TypeError('strip takes two texts');
  const drop = new Set(characters);
  const kept = [...text];
  const first = kept.findIndex((character) => !drop.has(character));
  return first < 0 ? '' : kept.slice(first).join('');
}

function stripEnd(text: unknown, characters: unknown): unknown {
  if (typeof text !== 'string' || typeof characters !== 'string') throw new TypeError('strip takes two texts');
  const drop = new Set(characters);
  const kept = [...text];
  const last = kept.findLastIndex((character) => !drop.has(character));
  return kept.slice(0, last + 1).join('');
}
