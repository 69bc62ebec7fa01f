/** The report of every bench: machine, config, medians, ratios of one run, and the goals. */
import { cpus, totalmem } from 'node:os';

export interface BenchMachine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  node: string;
}

export interface BenchCheck {
  /** What is claimed, e.g. `full prefill / cached TTFT >= 60`. */
  claim: string;
  value: number;
  holds: boolean;
}

export interface BenchReport {
  name: string;
  machine: BenchMachine;
  config: Record<string, string | number | boolean>;
  /** Medians with their unit in the name, e.g. `cachedTtftMs`. */
  medians: Record<string, number>;
  /** Quotients of medians of this same run. */
  ratios: Record<string, number>;
  checks: BenchCheck[];
}

export interface BenchOptions {
  /** Fewer repetitions and smaller sizes: for trying the bench, not for quoting. */
  quick: boolean;
  /** Called with a line now and then on long runs. */
  progress: (line: string) => void;
  /** JSONL file of texts, for the benches that take one. */
  data?: string;
  /** Checkpoint, for the benches that take one; as `--model` of the server. */
  model?: string;
  /** Where an SVG goes, for the benches that draw one; a directory for those that draw several. */
  plot?: string;
  /** Where the figures go as a page, for the benches that write one. */
  markdown?: string;
  /** Numbers of threads, one run each, for the benches that take them. */
  threads?: number[];
  /** Only cases whose name matches, for the benches that have many. */
  rows?: RegExp;
  /** How often every case is measured, for `peers`. */
  rounds?: number;
}

export function describeMachine(): BenchMachine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
}

/** Median of a non-empty list; the mean of the middle two if the count is even. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new TypeError('median of an empty list');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
