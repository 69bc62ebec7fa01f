/** Draws TTFT against context as an SVG with logarithmic axes and a background of its own. Knows points and shapes. */
/** Milliseconds to the first token over a context of so many tokens. */
export interface ContextPoint {
  tokens: number;
  fullMs: number;
  coldMs: number;
  cachedMs: number;
}

const AREA = { width: 640, height: 380, left: 70, right: 130, top: 44, bottom: 52 };
const LINES = [
  { name: 'full prefill', field: 'fullMs', colour: '#8a8f98' },
  { name: 'blocks, first time', field: 'coldMs', colour: '#c2410c' },
  { name: 'blocks cached,', more: 'in a new order', field: 'cachedMs', colour: '#1f5fbf' },
] as const;

/** @param about one line under the title: model and machine */
export function contextPlot(points: readonly ContextPoint[], about: string): string {
  const [right, bottom] = [AREA.width - AREA.right, AREA.height - AREA.bottom];
  const times = points.flatMap(({ fullMs, coldMs, cachedMs }) => [fullMs, coldMs, cachedMs]);
  const [low, high] = [Math.floor(Math.log10(Math.min(...times))), Math.ceil(Math.log10(Math.max(...times)))];
  const [first, last] = [Math.log2(points[0]?.tokens ?? 1), Math.log2(points.at(-1)?.tokens ?? 2)];
  const x = (tokens: number) => AREA.left + ((Math.log2(tokens) - first) / (last - first)) * (right - AREA.left);
  const y = (ms: number) => bottom - ((Math.log10(ms) - low) / (high - low)) * (bottom - AREA.top);
  const parts: string[] = [];
  for (let decade = low; decade <= high; decade += 1) {
    const ms = 10 ** decade;
    parts.push(`<line x1="${AREA.left}" x2="${right}" y1="${y(ms)}" y2="${y(ms)}" stroke="#e3e6ea"/>`);
    parts.push(text(AREA.left - 8, y(ms) + 4, ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`, 'end'));
  }
  for (const { tokens } of points) parts.push(text(x(tokens), bottom + 18, tokens.toLocaleString('en'), 'middle'));
  parts.push(text((AREA.left + right) / 2, AREA.height - 10, 'tokens of documents in the prompt', 'middle'));
  for (const line of LINES) {
    const path = points
      .map((point, at) => `${at === 0 ? 'M' : 'L'}${x(point.tokens)} ${y(point[line.field])}`)
      .join('');
    parts.push(`<path d="${path}" fill="none" stroke="${line.colour}" stroke-width="2.5"/>`);
    for (const point of points)
      parts.push(`<circle cx="${x(point.tokens)}" cy="${y(point[line.field])}" r="3.5" fill="${line.colour}"/>`);
    const end = y(points.at(-1)?.[line.field] ?? 1) + 4;
    parts.push(text(right + 10, end, line.name, 'start', line.colour));
    if ('more' in line) parts.push(text(right + 10, end + 14, line.more, 'start', line.colour));
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${AREA.width} ${AREA.height}" width="${AREA.width}" height="${AREA.height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${AREA.width}" height="${AREA.height}" fill="#ffffff"/>`,
    `<text x="${AREA.left}" y="20" font-size="15" fill="#20242c">Time to first token</text>`,
    text(AREA.left, 36, about, 'start', '#7a818d'),
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end', colour = '#59606d'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${colour}">${escaped}</text>`;
}
