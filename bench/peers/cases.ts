/**
 * What the contenders are asked. A case measures one or more rows of the table. Knows prompts and times; not who answers
 * how, nor what should come out.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomTokens } from '../random-model.js';
import { type Contender, STREAMS } from './contenders.js';
import type { BenchPrompt, MeasuredEngine } from './peer-process.js';
import { ROW } from './rows.js';

export const QUESTION_TOKENS = 26;
const DOCUMENT_TOKENS = 200;
const DECODE_TOKENS = 64;
const STREAM_TOKENS = 129;
const SHARED_DOCUMENTS = 8;
const SHARED_TOKENS = 32;

export interface Asked {
  contender: Contender;
  engine: MeasuredEngine;
  /** How often decode is measured in this visit; each time counts. */
  repeats: number;
}

/** Figures by the name of their row. */
export type Measured = Record<string, number[]>;

export interface Case {
  name: string;
  /** Tokens of the prompt, where they decide how long the case takes. */
  tokens: number;
  /** `streams`: many requests at once. `store`: only for those with a store. `own`: only for this engine. */
  needs?: 'streams' | 'store' | 'own';
  measure(asked: Asked): Promise<Measured>;
}

/** Draws prompts that no engine has seen. */
export class PromptSource {
  #drawn = 0;
  readonly #vocabSize: number;

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize;
  }

  fresh(tokens: number): Int32Array {
    this.#drawn += 1;
    return randomTokens(this.#drawn, tokens, this.#vocabSize);
  }

  plain(tokens: number): BenchPrompt {
    return { documents: [], question: this.fresh(tokens) };
  }

  blocks(tokens: number): Int32Array[] {
    const made: Int32Array[] = [];
    for (let left = tokens; left > 0; left -= DOCUMENT_TOKENS) made.push(this.fresh(Math.min(left, DOCUMENT_TOKENS)));
    return made;
  }
}

export function prefill(source: PromptSource, tokens: number, needs?: 'own'): Case {
  return {
    name: `prefill of ${tokens} tokens`,
    tokens,
    ...(needs === undefined ? {} : { needs }),
    async measure({ engine }) {
      return { [ROW.prefill(tokens)]: [(1000 * tokens) / (await engine.generate([source.plain(tokens)], 1))] };
    },
  };
}

/** The second and third time the prompt is known, so what they differ by is decode. */
async function decodeRate(engine: MeasuredEngine, prompt: BenchPrompt, repeats: number): Promise<number[]> {
  const rates: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const first = await engine.generate([prompt], 1);
    const all = await engine.generate([prompt], 1 + DECODE_TOKENS);
    rates.push((1000 * DECODE_TOKENS) / (all - first));
  }
  return rates;
}

export function decode(source: PromptSource, behind: number): Case {
  return {
    name: `decode, ${behind} tokens behind`,
    tokens: behind,
    async measure({ engine, repeats }) {
      const prompt = source.plain(behind);
      await engine.generate([prompt], 1);
      return { [ROW.decode(behind)]: await decodeRate(engine, prompt, repeats) };
    },
  };
}

/**
 * Documents and a question of `tokens` tokens in all: for the first time, in the same order, decode behind them, in
 * another order.
 *
 * @param isPrefill the first time counts as the peers' prefill of so many tokens too: they compute all of it
 */
export function documents(source: PromptSource, tokens: number, isPrefill: boolean): Case {
  return {
    name: `documents, ${tokens} tokens`,
    tokens,
    async measure({ contender, engine, repeats }) {
      const given = source.blocks(tokens - QUESTION_TOKENS);
      const ask = (prompt: BenchPrompt) => engine.generate([prompt], 1);
      const over = (order: Int32Array[]) => ({ documents: order, question: source.fresh(QUESTION_TOKENS) });
      const first = await ask(over(given));
      const known = over(given);
      const same = await ask(known);
      const decoded = await decodeRate(engine, known, repeats);
      const turned = await ask(over([...given].reverse()));
      return {
        [ROW.first(tokens)]: [first],
        [ROW.same(tokens)]: [same],
        [ROW.decode(tokens)]: decoded,
        [ROW.turned(tokens)]: [turned],
        ...(contender.kind === 'ours' || !isPrefill ? {} : { [ROW.prefill(tokens)]: [(1000 * tokens) / first] }),
      };
    },
  };
}

export function streams(source: PromptSource, behind: number, counted: 'new' | 'all'): Case {
  const tokens = STREAMS * (STREAM_TOKENS + (counted === 'all' ? behind : 0));
  return {
    name: `${STREAMS} streams, ${behind} tokens behind`,
    tokens: behind,
    needs: 'streams',
    async measure({ engine }) {
      const prompts = Array.from({ length: STREAMS }, () => source.plain(behind));
      return { [ROW.streams(behind, counted)]: [(1000 * tokens) / (await engine.generate(prompts, STREAM_TOKENS))] };
    },
  };
}

export function orders(source: PromptSource): Case {
  return {
    name: `${STREAMS} orders of ${SHARED_DOCUMENTS} documents`,
    tokens: SHARED_DOCUMENTS * DOCUMENT_TOKENS,
    needs: 'streams',
    async measure({ engine }) {
      const given = source.blocks(SHARED_DOCUMENTS * DOCUMENT_TOKENS);
      await engine.generate([{ documents: given, question: source.fresh(QUESTION_TOKENS) }], 1);
      const prompts = Array.from({ length: STREAMS }, (_, stream) => ({
        documents: turned(given, stream),
        question: source.fresh(QUESTION_TOKENS),
      }));
      return { [ROW.orders()]: [(1000 * STREAMS * SHARED_TOKENS) / (await engine.generate(prompts, SHARED_TOKENS))] };
    },
  };
}

/** Another order for each number below 16: rotated, and reversed for the odd ones. */
export function turned<Item>(given: readonly Item[], number: number): Item[] {
  const at = (number >> 1) % given.length;
  const rotated = [...given.slice(at), ...given.slice(0, at)];
  return number % 2 === 0 ? rotated : rotated.reverse();
}

/** A new process finds in its store what an earlier one computed. The first visit fills the store. */
export class RestartCase implements Case {
  readonly name: string;
  readonly needs = 'store';
  readonly tokens: number;
  readonly #source: PromptSource;
  readonly #given: Int32Array[];
  readonly #stores = new Map<string, string>();

  constructor(source: PromptSource, tokens: number) {
    this.name = `documents, ${tokens} tokens, after a restart`;
    this.tokens = tokens;
    this.#source = source;
    this.#given = source.blocks(tokens - QUESTION_TOKENS);
  }

  async measure({ contender }: Asked): Promise<Measured> {
    const filled = this.#stores.get(contender.name);
    const directory = filled ?? mkdtempSync(join(tmpdir(), 'blockstitch-peers-'));
    if (filled === undefined) {
      this.#stores.set(contender.name, directory);
      await this.#ask(contender, directory);
    }
    return { [ROW.restarted(this.tokens)]: [await this.#ask(contender, directory)] };
  }

  async #ask(contender: Contender, directory: string): Promise<number> {
    const engine = await contender.startWithStore?.(directory);
    if (engine === undefined) throw new TypeError(`${contender.name} has no store`);
    try {
      await engine.generate([this.#source.plain(64)], 4);
      return await engine.generate([{ documents: this.#given, question: this.#source.fresh(QUESTION_TOKENS) }], 1);
    } finally {
      await engine.close();
    }
  }

  /** Deletes the stores. */
  clear(): void {
    for (const directory of this.#stores.values()) rmSync(directory, { recursive: true, force: true });
    this.#stores.clear();
  }
}
