/**
 * Lines of JSONL: only a line feed ends one. `node:readline` of Node 26 ends them at U+2028 and U+2029 too, which JSON
 * may hold unescaped inside its strings.
 */

/**
 * @param input UTF-8 bytes or text, in whatever pieces it comes
 * @returns each line without its ending (`\n` or `\r\n`); the last one too if nothing ends it
 */
export async function* linesOf(input: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pieces: string[] = [];
  for await (const piece of input) {
    const [first = '', ...others] = (typeof piece === 'string' ? piece : decoder.decode(piece, { stream: true })).split(
      '\n',
    );
    pieces.push(first);
    for (const next of others) {
      yield withoutReturn(pieces.join(''));
      pieces = [next];
    }
  }
  const last = pieces.join('') + decoder.decode();
  if (last !== '') yield withoutReturn(last);
}

const withoutReturn = (line: string) => (line.endsWith('\r') ? line.slice(0, -1) : line);
