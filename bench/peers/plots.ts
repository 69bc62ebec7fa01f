/** The plots of a run: TTFT and throughput against context, for vLLM, the best of llama.cpp and this engine. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { millisecondsText } from '../context-plot.js';
import { type LinePlot, linePlot } from '../line-plot.js';
import { OURS, VLLM } from './contenders.js';
import type { Figures } from './figures.js';
import { ROW } from './rows.js';

/** `make browser` installs it; other names are those of other systems. */
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
/** A plot's pixels, doubled for screens of today. */
const PIXELS = { width: 680, height: 380, scale: 2 };

const LINES = [
  { name: VLLM, colour: '#8a8f98' },
  { name: 'llama.cpp, best', colour: '#c2410c' },
  { name: OURS[0], colour: '#1f5fbf' },
  { name: OURS[1], colour: '#0f8a5f' },
];

interface PeersPlot extends Omit<LinePlot, 'about' | 'lines'> {
  file: string;
  row(tokens: number): string;
}

const rate = (value: number) => `${value.toLocaleString('en')}/s`;
const PLOTS: readonly PeersPlot[] = [
  {
    file: 'ttft',
    title: 'Time to first token: known documents in a new order',
    xLabel: 'tokens in the prompt',
    yText: millisecondsText,
    row: ROW.turned,
  },
  {
    file: 'prefill',
    title: 'Prefill throughput: a prompt never seen before, full attention',
    xLabel: 'tokens in the prompt',
    yText: rate,
    row: ROW.prefill,
  },
  {
    file: 'decode',
    title: 'Decode throughput: one stream',
    xLabel: 'tokens behind',
    yText: rate,
    row: ROW.decode,
  },
];

/**
 * @param model   name of the model, in the names of files
 * @param lengths all lengths of prompts that were asked; what was not measured is left out
 * @returns SVG by file name without its ending; a plot without two lengths is left out
 */
export function peersPlots(
  model: string,
  figures: Figures,
  lengths: readonly number[],
  about: string,
): Map<string, string> {
  const plots = new Map<string, string>();
  for (const { file, row, ...plot } of PLOTS) {
    const lines = LINES.map(({ name, colour }) => ({
      name,
      colour,
      points: lengths.flatMap((tokens) => {
        const best = figures.best(row(tokens), contendersBehind(name, figures, row(tokens)));
        return best === undefined ? [] : [{ x: tokens, y: best.value }];
      }),
    })).filter(({ points }) => points.length > 0);
    if (lines.some(({ points }) => points.length > 1))
      plots.set(`peers-${model}-${file}`, linePlot({ ...plot, about, lines }));
  }
  return plots;
}

function contendersBehind(line: string, figures: Figures, row: string): string[] {
  if (line !== 'llama.cpp, best') return [line];
  return figures.contenders(row).filter((name) => name.startsWith('llama.cpp'));
}

/** Writes the plots as SVG, and as PNG if there is a Chromium to draw them. @returns what could not be written, in words */
export function writePlots(plots: ReadonlyMap<string, string>, directory: string): string | undefined {
  mkdirSync(directory, { recursive: true });
  const chromium = CHROMIUM.find(existsSync);
  for (const [name, svg] of plots) {
    const file = resolve(join(directory, `${name}.svg`));
    writeFileSync(file, svg);
    if (chromium === undefined) continue;
    const png = file.replace(/svg$/, 'png');
    const argv = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      `--force-device-scale-factor=${PIXELS.scale}`,
      `--window-size=${PIXELS.width},${PIXELS.height}`,
      `--screenshot=${png}`,
      pathToFileURL(file).href,
    ];
    const { status, stderr } = spawnSync(chromium, argv, { encoding: 'utf8' });
    if (status !== 0 || !existsSync(png)) return `no ${png}: ${stderr.slice(-500)}`;
  }
  return chromium === undefined ? 'no PNG: there is no Chromium to draw it (make browser)' : undefined;
}
