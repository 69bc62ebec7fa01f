/** Who is asked what: long prompts are put to llama.cpp once, and only to its best settings. */
import { expect, test } from 'vitest';
import type { Case } from '../../../../bench/peers/cases.js';
import { turned } from '../../../../bench/peers/cases.js';
import type { Contender } from '../../../../bench/peers/contenders.js';
import { Figures } from '../../../../bench/peers/figures.js';
import { ROW } from '../../../../bench/peers/rows.js';
import { isAsked } from '../../../../bench/peers/turns.js';

const start = () => Promise.reject(new Error('nobody is started here'));
const contender = (name: string, kind: Contender['kind'], more: Partial<Contender> = {}): Contender => ({
  name,
  kind,
  start,
  ...more,
});
const VLLM = contender('vLLM bf16', 'vllm');
const OURS = contender('ours int8', 'ours', { startWithStore: start });
const LLAMAS = ['Q4_0', 'Q8_0'].flatMap((type) => [
  contender(`llama.cpp ${type} flash`, 'llama.cpp', { flash: true, slots: 1 }),
  contender(`llama.cpp ${type}`, 'llama.cpp', { flash: false, slots: 1 }),
]);
const SLOTS = contender('llama.cpp Q4_0 flash, 16 slots', 'llama.cpp', { flash: true, slots: 16 });
const caseOf = (name: string, tokens: number, needs?: NonNullable<Case['needs']>): Case => ({
  name,
  tokens,
  ...(needs === undefined ? {} : { needs }),
  measure: () => Promise.resolve({}),
});
const asked = (each: Case, round: number, figures = new Figures()) =>
  [VLLM, ...LLAMAS, SLOTS, OURS].filter((one) => isAsked(one, each, round, figures)).map(({ name }) => name);

test('everybody is asked for short prompts in every round', () => {
  expect(asked(caseOf('prefill of 512 tokens', 512), 4)).toHaveLength(6);
});

test('streams are for many slots, and many slots for streams only; stores are for those that have one', () => {
  expect(asked(caseOf('16 streams', 32, 'streams'), 0)).toEqual(['vLLM bf16', SLOTS.name, 'ours int8']);
  expect(asked(caseOf('documents after a restart', 8000, 'store'), 0)).toEqual(['ours int8']);
  expect(asked(caseOf('prefill of 8000 tokens', 8000, 'own'), 0)).toEqual(['ours int8']);
});

test('long documents go to the best setting of each way of attention, in the first round only', () => {
  const figures = new Figures();
  const rates = { 'llama.cpp Q4_0 flash': 2, 'llama.cpp Q8_0 flash': 3, 'llama.cpp Q4_0': 5, 'llama.cpp Q8_0': 4 };
  for (const [name, rate] of Object.entries(rates)) {
    figures.add(ROW.prefill(2048), name, [rate]);
    // In decode it is the other way round for flash attention.
    figures.add(ROW.decode(16), name, [name.endsWith('flash') ? -rate : rate]);
  }
  const plotted = caseOf('documents, 2048 tokens', 2048);
  expect(asked(plotted, 0, figures)).toEqual(['vLLM bf16', 'llama.cpp Q4_0', 'llama.cpp Q8_0 flash', 'ours int8']);
  expect(asked(plotted, 1, figures)).toEqual(['vLLM bf16', 'ours int8']);
  const long = caseOf('documents, 8000 tokens', 8000);
  expect(asked(long, 0, figures)).toEqual([
    'vLLM bf16',
    'llama.cpp Q4_0 flash',
    'llama.cpp Q4_0',
    'llama.cpp Q8_0 flash',
    'ours int8',
  ]);
  expect(asked(long, 1, figures)).toEqual(['vLLM bf16', 'ours int8']);
});

test('streams with long prompts are put to llama.cpp once', () => {
  const short = caseOf('16 streams, 32 tokens behind', 32, 'streams');
  const long = caseOf('16 streams, 512 tokens behind', 512, 'streams');
  expect([0, 1].map((round) => asked(short, round).includes(SLOTS.name))).toEqual([true, true]);
  expect([0, 1].map((round) => asked(long, round).includes(SLOTS.name))).toEqual([true, false]);
});

test('sixteen requests have eight documents in sixteen orders', () => {
  const orders = Array.from({ length: 16 }, (_, number) => turned([1, 2, 3, 4, 5, 6, 7, 8], number).join());
  expect(new Set(orders).size).toBe(16);
});
