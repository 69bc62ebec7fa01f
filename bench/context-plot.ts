/** Draws TTFT against context, by three ways over the same tokens. */
import { linePlot } from './line-plot.js';

/** Milliseconds to the first token over a context of so many tokens. */
export interface ContextPoint {
  tokens: number;
  fullMs: number;
  coldMs: number;
  cachedMs: number;
}

const LINES = [
  { name: 'full prefill', field: 'fullMs', colour: '#8a8f98' },
  { name: 'blocks, first time', field: 'coldMs', colour: '#c2410c' },
  { name: 'blocks cached,\nin a new order', field: 'cachedMs', colour: '#1f5fbf' },
] as const;

/** @param about one line under the title: model and machine */
export function contextPlot(points: readonly ContextPoint[], about: string): string {
  return linePlot({
    title: 'Time to first token',
    about,
    xLabel: 'tokens of documents in the prompt',
    yText: millisecondsText,
    lines: LINES.map(({ name, colour, field }) => ({
      name,
      colour,
      points: points.map((point) => ({ x: point.tokens, y: point[field] })),
    })),
  });
}

export function millisecondsText(ms: number): string {
  return ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`;
}
