/**
 * `lookup`: decode with and without prompt lookup, in turns, over one served model: answers that quote documents, and
 * free prose. Steps saved are counted; times depend on the machine.
 * Quotations: with `--data` (JSONL, `question` and `documents: [{title, text}]`) the sentence that answers each question,
 * else sentences of the model's own samples. Greedy, so that both ways must give the same tokens.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withNamedModel } from '../src/cli/named-models.js';
import { loadConfig } from '../src/config.js';
import { type Engine, type GenerateRequest, GREEDY } from '../src/engine/engine.js';
import { ServerMetrics } from '../src/server/metrics/server-metrics.js';
import { openServices } from '../src/server/open-services.js';
import { readSamples, samplesOf } from '../src/server/playground/sample-documents.js';
import type { Services } from '../src/server/services.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const NEW_TOKENS = 96;
const MOST_ROWS = 100;
/** Answers that decode side by side. */
const TOGETHER = 8;
const QUOTE_RATIO = 1.8;
const PROSE_RATIO = 0.97;

const TOPICS = [
  'Write a short story about a lighthouse keeper.',
  'Explain how rain forms.',
  'Write a letter to a friend about a journey by train.',
  'What makes a good teacher?',
  'Describe a market in the morning.',
  'Give advice to somebody who learns to cook.',
  'Why do people like music?',
  'Write about a day in the life of a fisherman.',
  'How does a bicycle stay upright?',
  'Write an essay about friendship.',
];

interface Asked {
  question: string;
  documents: { title?: string; text: string }[];
}

type Planned = Pick<GenerateRequest, 'plan' | 'repair'>;

/** One answer. */
interface Run {
  tokens: number[];
  /** From the first token to the last. */
  decodeMs: number;
  steps: number;
  proposed: number;
  accepted: number;
}

export async function run({ quick, progress, data, model }: BenchOptions): Promise<BenchReport> {
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-lookup-'));
  const base = loadConfig();
  const checkpoint = withNamedModel({ ...base, model: model ?? base.model, adapter: 'none' }).model;
  const config = { ...base, model: checkpoint, redisUrl: '', storeDir: directory, promptLookup: 'auto' as const };
  const services = await openServices(config, new ServerMetrics('bench'));
  try {
    const rows = quick ? 4 : MOST_ROWS;
    const rounds = quick ? 1 : 3;
    // Many answers are a mean of their own.
    const quotingRounds = rows > 20 ? 1 : rounds;
    const quoting = data === undefined ? await sentences(checkpoint, rows) : await questions(data, rows);
    const prose = TOPICS.slice(0, rows).map((question) => ({ question, documents: [] }));
    const quoted = await compare(services, quoting, quotingRounds, (line) => progress(`quoting, ${line}`));
    const written = await compare(services, prose, rounds, (line) => progress(`prose, ${line}`));
    const beside = await together(services, quoting.slice(0, TOGETHER), rounds, progress);
    return report(
      { quoted, written, beside },
      { model: checkpoint, source: data ?? 'samples', rounds, threads: config.threads },
    );
  } finally {
    await services.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Documents with questions of a file, asked to be answered by a quotation. */
async function questions(file: string, rows: number): Promise<Asked[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  return lines.slice(0, rows).map((line) => {
    const { question, documents } = JSON.parse(line) as Asked;
    const asked = `Quote, word for word, the sentence of the passages that answers this question, and nothing else: ${question}`;
    return { question: asked, documents: documents.map(({ title, text }) => ({ ...(title ? { title } : {}), text })) };
  });
}

/** Sentences of the model's samples, asked for by their first words. */
async function sentences(checkpoint: string, rows: number): Promise<Asked[]> {
  const { documents } = await readSamples(samplesOf(checkpoint), 'the samples');
  const texts = documents.map(({ text }) => ({ text }));
  const all = texts.flatMap(({ text }) => text.match(/[A-Z][^.#\n]{15,}\./g) ?? []);
  const every = Math.max(1, Math.floor(all.length / rows));
  return all
    .filter((_, at) => at % every === 0)
    .slice(0, rows)
    .map((sentence) => {
      const [begin] = /^(\S+ ){3,5}/.exec(sentence) ?? [sentence.slice(0, 30)];
      return {
        question: `Quote, word for word, the sentence of the passages that begins with "${begin.trim()}".`,
        documents: texts,
      };
    });
}

/** As the server asks where a request names no attention. */
async function askedOf({ prompts, defaultAttention }: Services, { question, documents }: Asked): Promise<Planned> {
  const { mode, repair } = defaultAttention;
  const plan = await prompts.chat({ messages: [{ role: 'user', content: question }], documents, attention: mode });
  return { plan, ...(repair === undefined ? {} : { repair }) };
}

async function answer(engine: Engine, asked: Planned, promptLookup: boolean, stopTokenIds: number[]): Promise<Run> {
  const sampling = { ...GREEDY, maxTokens: NEW_TOKENS, stopTokenIds, promptLookup };
  const stepsBefore = engine.statistics().steps;
  const result: Run = { tokens: [], decodeMs: 0, steps: 0, proposed: 0, accepted: 0 };
  let firstMs: number | undefined;
  for await (const event of engine.generate({ ...asked, sampling })) {
    if (event.type === 'prefilled') continue;
    result.proposed += event.proposedTokens ?? 0;
    if (event.type === 'finish') continue;
    firstMs ??= performance.now();
    result.decodeMs = performance.now() - firstMs;
    result.tokens.push(event.tokenId);
    if (event.accepted) result.accepted++;
  }
  result.steps = engine.statistics().steps - stepsBefore;
  return result;
}

interface Compared {
  off: Run[];
  on: Run[];
  same: boolean;
}

/** Answers each question both ways, in turns. Times are medians over the rounds. */
async function compare(services: Services, asked: Asked[], rounds: number, say: (line: string) => void) {
  const { engine, model } = services;
  const compared: Compared = { off: [], on: [], same: true };
  for (const [index, each] of asked.entries()) {
    const planned = await askedOf(services, each);
    const runs = { off: [] as Run[], on: [] as Run[] };
    for (let round = 0; round < rounds; round++) {
      for (const way of (round + index) % 2 === 0 ? (['off', 'on'] as const) : (['on', 'off'] as const)) {
        runs[way].push(await answer(engine, planned, way === 'on', model.config.eosTokenIds));
      }
    }
    const [off, on] = [medianRun(runs.off), medianRun(runs.on)];
    const texts = [...runs.off, ...runs.on].map(({ tokens }) => tokens.join());
    compared.same &&= new Set(texts).size === 1;
    // The first token comes from the prefill: an answer of one token decodes nothing.
    if (off.tokens.length < 2) continue;
    compared.off.push(off);
    compared.on.push(on);
    say(
      `${index + 1} of ${asked.length}: ${off.tokens.length} tokens, ${rate([off]).toFixed(0)} and ${rate([on]).toFixed(0)} a second, ` +
        `${on.accepted} of ${on.proposed} came out`,
    );
  }
  return compared;
}

function medianRun(runs: readonly Run[]): Run {
  const [first] = runs as [Run];
  return {
    ...first,
    decodeMs: median(runs.map(({ decodeMs }) => decodeMs)),
    steps: median(runs.map((each) => each.steps)),
  };
}

const total = (runs: readonly Run[], of: (run: Run) => number) => runs.reduce((sum, each) => sum + of(each), 0);

/** Tokens a second of decode. */
function rate(runs: readonly Run[]): number {
  return (1000 * total(runs, ({ tokens }) => tokens.length - 1)) / total(runs, ({ decodeMs }) => decodeMs);
}

/** Answers of one length side by side. @returns tokens a second from the moment at which all decode */
async function together(services: Services, asked: Asked[], rounds: number, progress: (line: string) => void) {
  const plans = await Promise.all(asked.map((each) => askedOf(services, each)));
  const rates: Record<'off' | 'on', number[]> = { off: [], on: [] };
  for (let round = 0; round < rounds; round++) {
    for (const way of ['off', 'on'] as const) {
      const times = await Promise.all(
        plans.map(async (planned) => {
          const sampling = { ...GREEDY, maxTokens: NEW_TOKENS, promptLookup: way === 'on' };
          const each: number[] = [];
          for await (const event of services.engine.generate({ ...planned, sampling })) {
            if (event.type === 'token') each.push(performance.now());
          }
          return each;
        }),
      );
      const start = Math.max(...times.map(([first]) => first as number));
      const later = times.flat().filter((atMs) => atMs > start);
      rates[way].push((1000 * later.length) / (Math.max(...later) - start));
    }
    progress(`${plans.length} at once: ${rates.off.at(-1)?.toFixed(0)} and ${rates.on.at(-1)?.toFixed(0)} a second`);
  }
  return { off: median(rates.off), on: median(rates.on), requests: plans.length };
}

function report(
  { quoted, written, beside }: { quoted: Compared; written: Compared; beside: Awaited<ReturnType<typeof together>> },
  config: BenchReport['config'],
): BenchReport {
  const medians: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  for (const [name, { off, on }] of Object.entries({ quoting: quoted, prose: written })) {
    // A small model may have nothing to say.
    if (off.length === 0) continue;
    medians[`${name}, tokens a second without`] = rate(off);
    medians[`${name}, tokens a second with`] = rate(on);
    medians[`${name}, tokens`] = total(off, ({ tokens }) => tokens.length);
    medians[`${name}, steps without`] = total(off, ({ steps }) => steps);
    medians[`${name}, steps with`] = total(on, ({ steps }) => steps);
    ratios[`${name}, tokens a second, with / without`] = rate(on) / rate(off);
    ratios[`${name}, median over the answers`] = median(on.map((each, at) => rate([each]) / rate([off[at] as Run])));
    ratios[`${name}, came out / proposed`] = total(on, (each) => each.accepted) / total(on, (each) => each.proposed);
  }
  medians[`${beside.requests} at once, tokens a second without`] = beside.off;
  medians[`${beside.requests} at once, tokens a second with`] = beside.on;
  ratios[`${beside.requests} at once, with / without`] = beside.on / beside.off;
  const same = quoted.same && written.same;
  return {
    name: 'lookup',
    machine: describeMachine(),
    config: { ...config, quotations: quoted.off.length, texts: written.off.length, mostNewTokens: NEW_TOKENS },
    medians,
    ratios,
    checks: [
      { claim: 'the text is the same', value: same ? 1 : 0, holds: same },
      ...judged('quoting', ratios, QUOTE_RATIO),
      ...judged('prose', ratios, PROSE_RATIO),
    ],
  };
}

function judged(name: string, ratios: Readonly<Record<string, number>>, least: number): BenchReport['checks'] {
  const value = ratios[`${name}, tokens a second, with / without`];
  return value === undefined ? [] : [{ claim: `${name}: with / without >= ${least}`, value, holds: value >= least }];
}
