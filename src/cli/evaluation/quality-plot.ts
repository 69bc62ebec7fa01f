/**
 * Draws quality against TTFT as an SVG: a panel for each data file, a point for each mode, bars for the 95% intervals.
 * The SVG has its own background, so that it can be read in light and dark pages. Knows figures and shapes.
 */
import type { DataSummary, ModeSummary } from './mode-summaries.js';

const PANEL = { width: 330, height: 300, left: 56, right: 18, top: 40, bottom: 52 };
const COLOURS: Record<ModeSummary['mode'], string> = { full: '#1f5fbf', block: '#c2410c', repair: '#15803d' };

/** @param title stands above the panels, e.g. the model's name */
export function qualityPlot(summaries: readonly DataSummary[], title: string): string {
  const drawn = summaries.filter(({ modes }) => modes.length > 0);
  const width = Math.max(1, drawn.length) * PANEL.width;
  const height = PANEL.height + 34;
  const panels = drawn.map(
    (summary, index) => `<g transform="translate(${index * PANEL.width} 34)">${panel(summary)}</g>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="${width / 2}" y="22" text-anchor="middle" font-size="15">${escaped(title)}</text>`,
    ...panels,
    '</svg>\n',
  ].join('\n');
}

function panel({ data, rows, modes }: DataSummary): string {
  const right = PANEL.width - PANEL.right;
  const bottom = PANEL.height - PANEL.bottom;
  const times = modes.flatMap(({ ttftMs }) => [ttftMs.low, ttftMs.high]).map((ms) => Math.max(ms, 0.01));
  const [first, last] = [Math.floor(Math.log10(Math.min(...times))), Math.ceil(Math.log10(Math.max(...times)))];
  const decades = Math.max(1, last - first);
  const best = Math.max(0.1, ...modes.map(({ contains }) => contains.high));
  const top = Math.min(1, Math.ceil(best * 10) / 10);
  const x = (ms: number) => PANEL.left + ((Math.log10(Math.max(ms, 0.01)) - first) / decades) * (right - PANEL.left);
  const y = (share: number) => bottom - (share / top) * (bottom - PANEL.top);
  const parts = [
    text((PANEL.left + right) / 2, PANEL.top - 14, `${data} (${rows} rows)`, 'middle'),
    text((PANEL.left + right) / 2, PANEL.height - 14, 'TTFT, documents cached where a mode can (ms)', 'middle'),
    `<text transform="translate(14 ${(PANEL.top + bottom) / 2}) rotate(-90)" text-anchor="middle">answers that contain the truth</text>`,
  ];
  for (let step = 0; step <= 4; step++) {
    const share = (top * step) / 4;
    parts.push(line(PANEL.left, y(share), right, y(share), '#d4d4d4'));
    parts.push(text(PANEL.left - 6, y(share) + 4, `${Number((share * 100).toFixed(1))}%`, 'end'));
  }
  for (let decade = first; decade <= first + decades; decade++) {
    parts.push(line(x(10 ** decade), PANEL.top, x(10 ** decade), bottom, '#d4d4d4'));
    parts.push(text(x(10 ** decade), bottom + 16, `${Number((10 ** decade).toPrecision(1))}`, 'middle'));
  }
  for (const { mode, ttftMs, contains } of modes) {
    const colour = COLOURS[mode];
    parts.push(line(x(ttftMs.value), y(contains.low), x(ttftMs.value), y(contains.high), colour));
    parts.push(line(x(ttftMs.low), y(contains.value), x(ttftMs.high), y(contains.value), colour));
    parts.push(`<circle cx="${at(x(ttftMs.value))}" cy="${at(y(contains.value))}" r="5" fill="${colour}"/>`);
    const near = x(ttftMs.value) > right - 60;
    const label = { x: x(ttftMs.value) + (near ? -9 : 9), anchor: near ? 'end' : 'start' } as const;
    parts.push(text(label.x, y(contains.value) - 8, mode, label.anchor, colour));
  }
  return parts.join('\n');
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" stroke="${colour}"/>`;
}

function text(x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end', colour = '#222222'): string {
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}" fill="${colour}">${escaped(words)}</text>`;
}

function at(value: number): string {
  return value.toFixed(1);
}

function escaped(words: string): string {
  return words.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}
