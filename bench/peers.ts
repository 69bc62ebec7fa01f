/**
 * `peers`: this engine beside vLLM and llama.cpp on the same model, in one run and by turns: prefill, decode, batches, and
 * documents that are known, in the same and in a new order. Each is a process of its own; while one is asked, the others are
 * stopped. `make peers` puts peers and SmolLM2 into build/peers. `--model qwen2.5-0.5b` takes random weights in that shape,
 * `--threads 1,2` one run after another, `--rows REGEXP` the cases whose name matches, `--rounds N` more or fewer rounds.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { usableCpus } from '../src/cpu-quota.js';
import {
  type Case,
  decode,
  documents,
  orders,
  PromptSource,
  prefill,
  QUESTION_TOKENS,
  RestartCase,
  streams,
} from './peers/cases.js';
import { CONTEXT, type Contender, contendersOf } from './peers/contenders.js';
import { Figures } from './peers/figures.js';
import { measureCeilings, questionFloor } from './peers/floor.js';
import { goals } from './peers/goals.js';
import { type PeersRun, peersPage } from './peers/markdown.js';
import { type PeersModel, peersModel } from './peers/models.js';
import type { MeasuredEngine } from './peers/peer-process.js';
import { peersPlots, writePlots } from './peers/plots.js';
import { lowerIsBetter, ROW } from './peers/rows.js';
import { isAsked, REPEATS_OF_ONE_VISIT } from './peers/turns.js';
import { type BenchOptions, type BenchReport, describeMachine } from './report.js';

const LONG = 8000;
const QUICK_LONG = 2000;
/** Prompts between the short and the long ones, for the plots only. */
const PLOTTED = [1024, 2048, 4096];
const ROUNDS = 5;

export async function run(options: BenchOptions): Promise<BenchReport> {
  const { quick, progress, plot, markdown } = options;
  stopWithChildren();
  const model = await peersModel(options.model ?? 'smollm2', progress);
  const rounds = options.rounds ?? (quick ? 1 : ROUNDS);
  const long = quick ? QUICK_LONG : LONG;
  const runs: PeersRun[] = [];
  let versions: string[] = [];
  for (const threads of options.threads ?? [Math.min(2, usableCpus())]) {
    const measured = await measure(model, threads, rounds, long, options);
    runs.push(measured.run);
    versions = measured.versions;
  }
  const machine = describeMachine();
  const drawn = new Map<string, string>();
  if (plot !== undefined) {
    const { threads, figures } = runs.at(-1) as PeersRun;
    const about = `${model.title}, ${threads} threads of ${machine.cpu}`;
    for (const [name, svg] of peersPlots(model.name, figures, lengthsOf(long), about)) drawn.set(name, svg);
    const missed = writePlots(drawn, plot);
    if (missed !== undefined) progress(missed);
  }
  if (markdown !== undefined) {
    mkdirSync(dirname(markdown), { recursive: true });
    const plots = [...drawn.keys()].map((name) => relative(dirname(markdown), `${plot}/${name}.svg`));
    const command = `npm run bench -- ${process.argv.slice(2).map(quoted).join(' ')}`;
    writeFileSync(markdown, peersPage({ model: model.title, machine, versions, command, rounds, runs, plots }));
  }
  return report(model, rounds, versions, runs);
}

/** As a shell wants it. */
function quoted(argument: string): string {
  return /^[\w./,=-]+$/.test(argument) ? argument : `'${argument}'`;
}

function lengthsOf(long: number): number[] {
  return [...new Set([16, 512, ...PLOTTED, long])].sort((a, b) => a - b);
}

/** Signals end the process by its exit, so that its children end with it. */
function stopWithChildren(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
}

function casesOf(source: PromptSource, long: number, isPlotted: boolean): { cases: Case[]; restart: RestartCase } {
  const between = isPlotted ? PLOTTED.filter((tokens) => tokens < long) : [];
  const restart = new RestartCase(source, long);
  const cases: Case[] = [
    prefill(source, 512),
    prefill(source, 2048),
    decode(source, 16),
    ...between.flatMap((tokens) => {
      const own = tokens > 2048 ? [prefill(source, tokens, 'own')] : [];
      return [documents(source, tokens, tokens > 2048), ...own];
    }),
    prefill(source, long, 'own'),
    documents(source, long, true),
    restart,
    streams(source, 32, 'new'),
    streams(source, 512, 'all'),
    orders(source),
  ];
  return { cases, restart };
}

/** All contenders with so many threads. */
async function measure(
  model: PeersModel,
  threads: number,
  rounds: number,
  long: number,
  { quick, progress, plot, rows }: BenchOptions,
): Promise<{ run: PeersRun; versions: string[] }> {
  const figures = new Figures();
  const source = new PromptSource(model.vocabSize);
  const { cases, restart } = casesOf(source, long, plot !== undefined);
  const asked = cases.filter(({ name }) => rows === undefined || rows.test(name));
  const contenders = contendersOf(model, threads).filter((each) => asked.some((one) => isAsked(each, one, 0, figures)));
  const engines = new Map<Contender, MeasuredEngine>();
  try {
    const ceilings =
      rows === undefined ? await measureCeilings(model.own, threads, long - QUESTION_TOKENS, quick) : undefined;
    for (const contender of contenders) {
      progress(`starting ${contender.name}, ${threads} threads`);
      const engine = await contender.start();
      engines.set(contender, engine);
      await engine.generate([source.plain(64)], 4);
      engine.pause();
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const each of asked) {
        for (const [contender, engine] of engines) {
          if (!isAsked(contender, each, round, figures)) continue;
          engine.resume();
          const repeats = rounds > 1 && contender.kind === 'llama.cpp' ? REPEATS_OF_ONE_VISIT : 1;
          const measured = await each.measure({ contender, engine, repeats });
          engine.pause();
          for (const [row, values] of Object.entries(measured)) {
            progress(`round ${round + 1}: ${row}: ${contender.name} ${values.map((value) => value.toPrecision(4))}`);
            figures.add(row, contender.name, values);
          }
        }
      }
    }
    for (const [contender, engine] of engines) {
      engine.resume();
      figures.add(ROW.memory(), contender.name, [(await engine.peakBytes()) / 2 ** 20]);
      engine.pause();
    }
    const floor =
      ceilings === undefined
        ? {}
        : {
            ceilings: ceilings.ceilings,
            floor: questionFloor(ceilings.model, ceilings.ceilings, QUESTION_TOKENS, long - QUESTION_TOKENS),
          };
    // The goals are set for the real model, two threads and the long prompt.
    const isJudged = model.name === 'smollm2' && threads === 2 && !quick;
    const checks = isJudged ? goals(figures, long, floor.floor?.totalMs) : [];
    const versions = [...new Set([...engines].map(([{ kind }, { version }]) => `${kind} ${version}`))];
    return { run: { threads, figures, checks, ...floor }, versions };
  } finally {
    for (const engine of engines.values()) await engine.close();
    restart.clear();
  }
}

function report(model: PeersModel, rounds: number, versions: string[], runs: readonly PeersRun[]): BenchReport {
  const medians: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  for (const { threads, figures, floor } of runs) {
    const prefix = runs.length === 1 ? '' : `${threads} threads: `;
    for (const row of figures.rows) {
      for (const name of figures.contenders(row))
        medians[`${prefix}${row}: ${name}`] = figures.median(row, name) as number;
      const gain = figures.gain(row);
      if (gain !== undefined)
        ratios[`${prefix}${lowerIsBetter(row) ? 'best peer / ours' : 'ours / best peer'}, ${row}`] = gain;
    }
    if (floor !== undefined) medians[`${prefix}floor of a question over known documents (ms)`] = floor.totalMs;
  }
  return {
    name: 'peers',
    machine: describeMachine(),
    config: {
      model: model.title,
      threads: runs.map(({ threads }) => threads).join(', '),
      rounds,
      context: CONTEXT,
      versions: versions.join(', '),
    },
    medians,
    ratios,
    checks: runs.flatMap(({ checks }) => checks),
  };
}
