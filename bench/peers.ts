/**
 * `peers`: this engine beside vLLM and llama.cpp on the same model, in one run and by turns: prefill, decode, batches, and
 * documents that are known, in the same and in a new order. The model is SmolLM2 as its makers left it: a GGUF file for
 * llama.cpp and for this engine, its decoded weights for vLLM. `make peers` puts peers and models into build/peers.
 * BLOCKSTITCH_THREADS sets the threads of all.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { NAMED_MODELS } from '../src/cli/named-models.js';
import { PACKAGE_DIR } from '../src/config.js';
import { openOwnEngine } from './peers/own-engine.js';
import { type BenchPrompt, type MeasuredEngine, startPeer } from './peers/peer-process.js';
import { randomTokens, THREADS } from './random-model.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const PEERS = join(PACKAGE_DIR, 'build', 'peers');
const SCRIPTS = join(PACKAGE_DIR, 'bench', 'peers');
const CONTEXT = 8192;
const VOCABULARY = 49_152;
const QUESTION_TOKENS = 26;
const DOCUMENT_TOKENS = 200;
const DECODE_TOKENS = 64;
const STREAMS = 16;
const STREAM_TOKENS = 129;
const SHARED_DOCUMENTS = 8;
const SHARED_TOKENS = 32;
const VLLM = 'vllm bf16';
const LLAMA_CPP = 'llama.cpp q4_1';
const OWN = ['int8', 'int4'] as const;

let drawn = 0;
const fresh = (tokens: number): Int32Array => randomTokens(++drawn, tokens, VOCABULARY);
const plain = (tokens: number): BenchPrompt => ({ documents: [], question: fresh(tokens) });

/** One row of the table. `measure` gives figures by name; a lower number of milliseconds or a higher rate is better. */
interface Case {
  name: string;
  /** Engines that take one request at a time are left out. */
  batched?: boolean;
  measure(engine: MeasuredEngine): Promise<Record<string, number>>;
}

function casesOf(quick: boolean): Case[] {
  const lengths = quick ? [512, 2048] : [512, 2048, 8000];
  const deep = lengths.at(-1) as number;
  const known = Math.floor((deep - 200) / DOCUMENT_TOKENS);
  return [
    ...lengths.map((tokens) => prefill(tokens)),
    decode(16),
    decode(deep - DECODE_TOKENS),
    documents(known),
    streams(32, 'new'),
    streams(512, 'all'),
    orders(),
  ];
}

function prefill(tokens: number): Case {
  const name = `prefill ${tokens} (tokens/s)`;
  return {
    name,
    measure: async (engine) => ({ [name]: (1000 * tokens) / (await engine.generate([plain(tokens)], 1)) }),
  };
}

/** The second and third time the prompt is known, so what they differ by is decode. */
function decode(behind: number): Case {
  const name = `decode, ${behind} behind (tokens/s)`;
  return {
    name,
    async measure(engine) {
      const prompt: BenchPrompt = { documents: behind > 1000 ? blocks(behind - 16) : [], question: fresh(16) };
      await engine.generate([prompt], 1);
      const first = await engine.generate([prompt], 1);
      const all = await engine.generate([prompt], 1 + DECODE_TOKENS);
      return { [name]: (1000 * DECODE_TOKENS) / (all - first) };
    },
  };
}

function blocks(tokens: number): Int32Array[] {
  const made: Int32Array[] = [];
  for (let left = tokens; left > 0; left -= DOCUMENT_TOKENS) made.push(fresh(Math.min(left, DOCUMENT_TOKENS)));
  return made;
}

function documents(count: number): Case {
  const tokens = count * DOCUMENT_TOKENS;
  return {
    name: `${tokens} tokens of documents`,
    async measure(engine) {
      const given = blocks(tokens);
      const ask = (order: Int32Array[]) => engine.generate([{ documents: order, question: fresh(QUESTION_TOKENS) }], 1);
      const cold = await ask(given);
      const same = await ask(given);
      const turned = await ask([...given].reverse());
      return {
        [`${tokens} tokens of documents, first time: TTFT (ms)`]: cold,
        [`${tokens} known tokens, same order: TTFT (ms)`]: same,
        [`${tokens} known tokens, new order: TTFT (ms)`]: turned,
      };
    },
  };
}

function streams(behind: number, counted: 'new' | 'all'): Case {
  const name = `${STREAMS} streams of ${STREAM_TOKENS}, ${behind} behind (${counted} tokens/s)`;
  const tokens = STREAMS * (STREAM_TOKENS + (counted === 'all' ? behind : 0));
  return {
    name,
    batched: true,
    async measure(engine) {
      const prompts = Array.from({ length: STREAMS }, () => plain(behind));
      return { [name]: (1000 * tokens) / (await engine.generate(prompts, STREAM_TOKENS)) };
    },
  };
}

function orders(): Case {
  const name = `${STREAMS} requests, ${SHARED_DOCUMENTS} known documents in ${STREAMS} orders (new tokens/s)`;
  return {
    name,
    batched: true,
    async measure(engine) {
      const given = blocks(SHARED_DOCUMENTS * DOCUMENT_TOKENS);
      await engine.generate([{ documents: given, question: fresh(QUESTION_TOKENS) }], 1);
      const prompts = Array.from({ length: STREAMS }, (_, stream) => ({
        documents: turned(given, stream),
        question: fresh(QUESTION_TOKENS),
      }));
      return { [name]: (1000 * STREAMS * SHARED_TOKENS) / (await engine.generate(prompts, SHARED_TOKENS)) };
    },
  };
}

/** Another order for each number below 16: rotated, and reversed for the odd ones. */
function turned(given: readonly Int32Array[], number: number): Int32Array[] {
  const at = (number >> 1) % given.length;
  const rotated = [...given.slice(at), ...given.slice(0, at)];
  return number % 2 === 0 ? rotated : rotated.reverse();
}

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const python = join(PEERS, 'bin', 'python');
  if (!existsSync(python)) throw new Error(`the peers are not in ${PEERS}: run make peers`);
  const gguf = join(PEERS, NAMED_MODELS['smollm2']?.file ?? '');
  const settings = [String(THREADS), String(CONTEXT)];
  const engines: MeasuredEngine[] = [];
  const figures = new Map<string, Map<string, number[]>>();
  try {
    progress(`starting ${VLLM} and ${LLAMA_CPP}, ${THREADS} threads each`);
    engines.push(await startPeer(VLLM, python, [join(SCRIPTS, 'vllm_peer.py'), join(PEERS, 'hf'), ...settings]));
    engines.push(await startPeer(LLAMA_CPP, python, [join(SCRIPTS, 'llama_cpp_peer.py'), gguf, ...settings]));
    for (const weights of OWN) engines.push(await openOwnEngine(`ours ${weights}`, gguf, weights, THREADS));
    const rounds = quick ? 1 : 5;
    for (const engine of engines) await engine.generate([plain(64)], 4);
    for (let round = 0; round < rounds; round += 1) {
      for (const each of casesOf(quick)) {
        for (const engine of engines) {
          if (each.batched && engine.name === LLAMA_CPP) continue;
          for (const [name, value] of Object.entries(await each.measure(engine))) {
            progress(`round ${round + 1}: ${name}: ${engine.name} ${value.toPrecision(4)}`);
            const row = figures.get(name) ?? new Map<string, number[]>();
            row.set(engine.name, [...(row.get(engine.name) ?? []), value]);
            figures.set(name, row);
          }
        }
      }
    }
    const peaks: Record<string, number> = {};
    for (const { name, peakBytes } of engines.slice(0, 3)) {
      peaks[`peak memory: ${name.startsWith('ours') ? 'this process, both' : name} (MiB)`] =
        (await peakBytes()) / 2 ** 20;
    }
    return report(figures, peaks, rounds);
  } finally {
    for (const engine of engines) await engine.close();
  }
}

/** Ratios are ours over the best peer; for milliseconds the other way round, so that more is better in every line. */
function report(
  figures: Map<string, Map<string, number[]>>,
  peaks: Record<string, number>,
  rounds: number,
): BenchReport {
  const medians: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  for (const [name, row] of figures) {
    const values = new Map([...row].map(([engine, given]) => [engine, median(given)]));
    for (const [engine, value] of values) medians[`${name}: ${engine}`] = value;
    const isTime = name.endsWith('(ms)');
    const best = (engines: string[]) => {
      const given = engines.flatMap((engine) => values.get(engine) ?? []);
      return isTime ? Math.min(...given) : Math.max(...given);
    };
    const [ours, theirs] = [best(OWN.map((weights) => `ours ${weights}`)), best([VLLM, LLAMA_CPP])];
    ratios[name] = isTime ? theirs / ours : ours / theirs;
  }
  return {
    name: 'peers',
    machine: describeMachine(),
    config: { threads: THREADS, rounds, engines: [VLLM, LLAMA_CPP, ...OWN.map((each) => `ours ${each}`)].join(', ') },
    medians: { ...medians, ...peaks },
    ratios,
    checks: Object.entries(ratios).map(([name, value]) => ({
      claim: `ours / best peer, ${name} > 1`,
      value,
      holds: value > 1,
    })),
  };
}
