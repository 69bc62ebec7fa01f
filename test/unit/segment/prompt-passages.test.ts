import { describe, expect, it } from 'vitest';
import { promptPassages } from '../../../src/segment/prompt-passages.js';

const whole = (text: string) => [{ start: 0, end: text.length, tokens: 1, boundaryScore: 1 }];
const shown = (text: string) =>
  promptPassages(text, whole(text), true)?.passages.map(({ start, end }) => text.slice(start, end));

describe('promptPassages', () => {
  it('takes counted passages without their numbers, whatever ends the lines', () => {
    const lines = ['Read this.', '[1] The kettle.', '[2] The lamp.', '[3] The fair.', '', 'What is bright?'];
    for (const end of ['\n', '\r\n']) {
      const text = lines.join(end);
      const passages = shown(text) as string[];
      expect(passages.slice(0, 2)).toEqual(['The kettle.', 'The lamp.']);
    }
  });

  it('reads a long message once, however many passages or lines it has', () => {
    // Each of these took minutes when every line was held against every other one.
    const counted = Array.from({ length: 50_000 }, (_, at) => `Source ${at % 1000}: a\n`).join('');
    const lines = [...counted.matchAll(/\n/g)].map(({ index }, at, all) => {
      const start = at === 0 ? 0 : (all[at - 1]?.index ?? 0) + 1;
      return { start, end: index + 1, tokens: 1, boundaryScore: 1, seam: true as const };
    });
    expect(promptPassages(counted, lines, true)?.passages.length).toBeGreaterThan(49_000);
    for (const piece of ['[1]\n', '\r', '\u2028', '---\n', '---\r', ' ', '-']) {
      const text = `${piece.repeat(300_000)}x`;
      for (const { start, end } of promptPassages(text, whole(text), true)?.passages ?? []) {
        expect(end).toBeLessThanOrEqual(text.length);
        expect(start).toBeLessThan(end);
      }
    }
  });

  it('never cuts a character in two behind a number', () => {
    const mark = (number: number) => `${'😀'.repeat(12)}${'a'.repeat(24)} b${'b'.repeat(9)} ${number}😀😀`;
    const text = [1, 2, 3].map((number) => `${mark(number)}😀😀 passage ${'word '.repeat(20)}`).join('\n');
    for (const passage of shown(text) ?? []) expect(passage.isWellFormed()).toBe(true);
  });

  it('tells an instruction in front from a passage', () => {
    const told = (instruction: string) => {
      const parts = [
        ...instruction.split('\n\n'),
        `The kettle ${'whistles '.repeat(20)}.`,
        `The lamp ${'shines '.repeat(20)}.`,
        'Why?',
      ];
      const text = parts.join('\n\n');
      let end = 0;
      const segments = parts.map((part) => {
        const start = end;
        end = Math.min(text.length, start + part.length + 2);
        return { start, end, tokens: 1, boundaryScore: 1, seam: true as const };
      });
      return text.slice(0, promptPassages(text, segments, true)?.instruction).trim();
    };
    const long =
      'Use the pieces of context below to answer the question at the end. Say so if you do not know it, and make nothing up.';
    for (const instruction of ['Read.', 'Read.\n\nDocuments:', long, `${'Be brief. '.repeat(12)}Here it is:`]) {
      expect(told(instruction)).toBe(instruction);
    }
    expect(told(`The fair opens in May. ${'People come from far away. '.repeat(6)}`)).toBe('');
  });

  it('moves no text that is too long for an instruction, whatever it ends with', () => {
    const passages = [1, 2, 3].map((number) => `Document ${number}: The kettle ${'whistles '.repeat(20)}.`);
    const moved = (front: string) => promptPassages([front, ...passages, 'Why?'].join('\n'), [], true)?.instruction;
    const rules = 'Be brief. '.repeat(120);
    expect(moved(`${rules}Answer the question from the documents:`)).toBeGreaterThan(rules.length);
    expect(moved(`${'The fair opens in May. '.repeat(60)}This is why:`)).toBe(0);
    expect(moved(`${rules.repeat(5)}Answer the question from the documents:`)).toBe(0);
  });

  it('takes neither code nor the steps of a recipe apart', () => {
    const branches = [1, 2, 3].map((number) => `    case ${number}:\n      return x${'.next'.repeat(20)};`);
    const fields = [1, 2, 3].map((number) => `  x${number}: number;`);
    const code = `Mend this:\n\nfunction mend(x) {\n  switch (x) {\n${branches.join('\n')}\n  }\n}`;
    const recipe = 'Shorten this.\nStep 1: mix flour\nStep 2: add water\nStep 3: bake';
    for (const text of [code, `Explain:\n${fields.join('\n')}`, recipe]) {
      expect(promptPassages(text, whole(text), true)).toMatchObject({ by: 'lengths', instruction: 0 });
    }
  });

  it.each([
    ['names that get a value', (n: number, rest: string) => `const part${n} = await load("${rest}");`],
    ['typed names', (n: number, rest: string) => `  let total_${n}: Map<string, number> = collect("${rest}");`],
    ['names that are added to', (n: number, rest: string) => `sum${n} += weigh("${rest}")`],
    ['calls', (n: number, rest: string) => `step${n}("${rest}");`],
    ['methods', (n: number, rest: string) => `row${n}.append("${rest}")`],
    ['elements of a table', (n: number, rest: string) => `  [${n}] = "${rest}",`],
    ['lines of a listing', (n: number, rest: string) => `line ${n}: print("${rest}")`],
    ['short names of lines', (n: number, rest: string) => `L${n}: print("${rest}")`],
  ])('takes no long counted lines of code for passages: %s', (_what, line) => {
    const lines = [1, 2, 3, 4].map((number) => line(number, 'kettles and lamps, '.repeat(5)));
    const text = `Mend this:\n\n${lines.join('\n')}\n\nWhy does it fail?`;
    expect(promptPassages(text, whole(text), true)?.by).toBe('lengths');
  });

  it.each([
    ['doc', (n: number, rest: string) => `doc${n}: ${rest}`],
    ['sources with a title', (n: number, rest: string) => `Source ${n} (fairs.txt): ${rest}`],
    ['documents with an equation', (n: number, rest: string) => `Document ${n}: E = mc, ${rest}`],
    ['brackets', (n: number, rest: string) => `[${n}] ${rest}`],
  ])('takes long counted lines of prose for passages still: %s', (_what, line) => {
    const lines = [1, 2, 3, 4].map((number) => line(number, 'kettles and lamps, '.repeat(5)));
    const text = `Read this:\n\n${lines.join('\n')}\n\nWhat is bright?`;
    const found = promptPassages(text, whole(text), true);
    expect([found?.by, found?.passages.length]).toEqual(['seams', 4]);
  });
});
