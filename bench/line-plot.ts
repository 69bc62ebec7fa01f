/** Draws lines over logarithmic axes as an SVG with a background of its own. Knows points, not what they mean. */

export interface PlotLine {
  /** Stands at the line's end; may have line breaks. */
  name: string;
  colour: string;
  points: readonly { x: number; y: number }[];
}

export interface LinePlot {
  title: string;
  /** One line under the title. */
  about: string;
  /** What the horizontal axis counts. */
  xLabel: string;
  yText(value: number): string;
  lines: readonly PlotLine[];
}

const AREA = { width: 680, height: 380, left: 70, right: 170, top: 44, bottom: 52 };
const LINE_HEIGHT = 14;

/** @throws TypeError without a point, or with one that is not positive: it has no place on a logarithmic axis */
export function linePlot({ title, about, xLabel, yText, lines }: LinePlot): string {
  const points = lines.flatMap((line) => line.points);
  if (points.length === 0 || points.some(({ x, y }) => !(x > 0 && y > 0)))
    throw new TypeError('a logarithmic plot needs points, all of them positive');
  const [right, bottom] = [AREA.width - AREA.right, AREA.height - AREA.bottom];
  const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  const ys = points.map(({ y }) => y);
  const ticks = ticksAround(Math.min(...ys), Math.max(...ys));
  const [low, high] = [Math.log10(ticks[0] as number), Math.log10(ticks.at(-1) as number)];
  const [first, last] = [Math.log2(xs[0] as number), Math.log2(xs.at(-1) as number)];
  const x = (value: number) => AREA.left + ((Math.log2(value) - first) / (last - first || 1)) * (right - AREA.left);
  const y = (value: number) => bottom - ((Math.log10(value) - low) / (high - low)) * (bottom - AREA.top);
  const parts: string[] = [];
  for (const tick of ticks) {
    const at = y(tick);
    parts.push(`<line x1="${AREA.left}" x2="${right}" y1="${at}" y2="${at}" stroke="#e3e6ea"/>`);
    parts.push(text(AREA.left - 8, at + 4, yText(tick), 'end'));
  }
  for (const each of xs) parts.push(text(x(each), bottom + 18, each.toLocaleString('en'), 'middle'));
  parts.push(text((AREA.left + right) / 2, AREA.height - 10, xLabel, 'middle'));
  for (const { colour, points: own } of lines) {
    const path = own.map((point, at) => `${at === 0 ? 'M' : 'L'}${x(point.x)} ${y(point.y)}`).join('');
    parts.push(`<path d="${path}" fill="none" stroke="${colour}" stroke-width="2.5"/>`);
    for (const point of own) parts.push(`<circle cx="${x(point.x)}" cy="${y(point.y)}" r="3.5" fill="${colour}"/>`);
  }
  for (const { line, at } of labels(lines, (line) => y(line.points.at(-1)?.y ?? 1))) {
    for (const [index, words] of line.name.split('\n').entries())
      parts.push(text(right + 10, at + 4 + index * LINE_HEIGHT, words, 'start', line.colour));
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${AREA.width} ${AREA.height}" width="${AREA.width}" height="${AREA.height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${AREA.width}" height="${AREA.height}" fill="#ffffff"/>`,
    `<text x="${AREA.left}" y="20" font-size="15" fill="#20242c">${escaped(title)}</text>`,
    text(AREA.left, 36, about, 'start', '#7a818d'),
    ...parts,
    '</svg>\n',
  ].join('\n');
}

/** Powers of ten, or their 1, 2 and 5 if the values span less than two: from below the least to above the most. */
function ticksAround(least: number, most: number): number[] {
  const steps = most / least < 100 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let decade = Math.floor(Math.log10(least)); decade <= Math.ceil(Math.log10(most)); decade += 1)
    for (const step of steps) ticks.push(Number(`${step}e${decade}`));
  const from = ticks.findLastIndex((tick) => tick <= least);
  const to = ticks.findIndex((tick) => tick >= most);
  return ticks.slice(from, Math.max(to, from + 1) + 1);
}

/** Heights of the names, from top to bottom, none over another. */
function labels(lines: readonly PlotLine[], heightOf: (line: PlotLine) => number): { line: PlotLine; at: number }[] {
  const placed: { line: PlotLine; at: number }[] = [];
  let free = AREA.top;
  const drawn = lines.filter(({ points }) => points.length > 0);
  for (const line of [...drawn].sort((a, b) => heightOf(a) - heightOf(b))) {
    const at = Math.max(free, heightOf(line));
    placed.push({ line, at });
    free = at + LINE_HEIGHT * line.name.split('\n').length;
  }
  return placed;
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end', colour = '#59606d'): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${colour}">${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
