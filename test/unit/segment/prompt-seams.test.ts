/** Seams of prompts: doubtful ones follow their like, closing lines stay with what they close, prose has none. */
import { describe, expect, it } from 'vitest';
import { promptSeams } from '../../../src/segment/prompt-seams.js';
import { splitUnits } from '../../../src/segment/text-units.js';

/** @returns the beginning of what follows each seam, for log-odds given by what begins the line behind a boundary */
function behindSeams(text: string, logit: (line: string) => number): string[] {
  const units = splitUnits(text);
  const lineAt = (unit: number) => text.slice(units[unit]?.start, units[unit]?.end).trim();
  const logits = units.map((_, unit) => (unit + 1 < units.length ? logit(lineAt(unit + 1)) : -8));
  return promptSeams(text, units, logits).map(({ unit }) => lineAt(unit + 1).slice(0, 11));
}

const MARKED = [
  'Answer from the passages.',
  '[1] The baker kneads the dough.',
  'She sells rolls.',
  '[2] The comet passes.',
  '[3] The judge reads.',
  'Counsel asks.',
  'Question: who sells rolls?',
].join('\n');

describe('seams', () => {
  it('are found where the network doubts, if the mark is that of the others', () => {
    const doubts = (line: string) => (line.startsWith('[2]') ? -1 : /^\[|^Question/.test(line) ? 3 : -5);
    expect(behindSeams(MARKED, doubts)).toEqual(['[1] The bak', '[2] The com', '[3] The jud', 'Question: w']);
  });

  it('are not found between marked passages, however sure the network is of one', () => {
    const misled = (line: string) => (line.startsWith('She') ? 1 : /^\[|^Question/.test(line) ? 3 : -5);
    expect(behindSeams(MARKED, misled)).toEqual(['[1] The bak', '[2] The com', '[3] The jud', 'Question: w']);
    const sure = (line: string) => (line.startsWith('She') ? 9 : /^\[|^Question/.test(line) ? 3 : -5);
    expect(behindSeams(MARKED, sure)).not.toContain('She sells r');
  });

  it('stand behind the lines that close passages', () => {
    const passage = (name: string) => `BEGIN 1\n${name} is told of here.\nEND CHUNK\n`;
    const text = `Knowledge:\n${['Anna', 'Ben', 'Carla', 'Dora'].map(passage).join('')}Why?`;
    const before = (line: string) => (line === 'END CHUNK' ? 3 : line.startsWith('BEGIN') ? -2 : -6);
    expect(behindSeams(text, before)).toEqual([...Array(4).fill('BEGIN 1'), 'Why?']);
  });

  it('of one frame are one, though two of its lines have marks', () => {
    const passage = (name: string) => `Source: ${name}.txt\nContent: ${name} is told of here.\n`;
    const text = `Read.\n${['anna', 'ben', 'carla', 'dora'].map(passage).join('')}Why?`;
    const both = (line: string) => (line.startsWith('Source') ? 3 : line.startsWith('Content') ? 1 : -6);
    expect(behindSeams(text, both)).toEqual(
      Array(4)
        .fill(0)
        .map((_, at) => `Source: ${['anna', 'ben', 'carla', 'dora'][at]}`.slice(0, 11)),
    );
  });

  it('are none where a single boundary looks like one, and none in a text of one unit', () => {
    expect(behindSeams('One line.\nAnother.\nA third.', (line) => (line === 'Another.' ? 4 : -4))).toEqual([]);
    expect(promptSeams('One.', splitUnits('One.'), [9])).toEqual([]);
    expect(promptSeams('', [], [])).toEqual([]);
  });
});
