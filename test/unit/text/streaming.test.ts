/** Streaming text out: never a broken character, never part of a stop string, and nothing lost. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { readTokenizerDefinition } from '../../../src/text/read-tokenizer.js';
import { splitSentences } from '../../../src/text/split-sentences.js';
import { StopMatcher } from '../../../src/text/stop-matcher.js';
import { Tokenizer } from '../../../src/text/tokenizer.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

describe.each(['qwen2', 'llama2', 'metaspace'])('the detokenizer of %s', (kind) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = new Tokenizer(await readTokenizerDefinition(directoryOf(kind)));
  });

  it('gives whole characters as they come, and at the end what decoding at once gives', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const ids = tokenizer.encode(text);
        const detokenizer = tokenizer.detokenizer();
        const parts = [...ids].map((id) => detokenizer.push(id));
        for (const part of parts) expect(part).not.toMatch(/\p{Surrogate}/u);
        if (!text.includes('\uFFFD')) expect(parts.join('')).not.toContain('\uFFFD');
        expect(parts.join('') + detokenizer.flush()).toBe(tokenizer.decode(ids));
      }),
      { numRuns: 300 },
    );
  });

  it('takes any ids, also those that never make a character', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1, max: tokenizer.vocabSize + 5 }), { maxLength: 40 }), (ids) => {
        const detokenizer = tokenizer.detokenizer();
        const streamed = ids.map((id) => detokenizer.push(id)).join('') + detokenizer.flush();
        expect(streamed).toBe(tokenizer.decode(ids));
      }),
      { numRuns: 300 },
    );
  });
});

describe('stop strings', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 40 });
  const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 }), {
    maxLength: 4,
  });

  it('end the text at the stop that is complete first, however the text is cut into pieces', () => {
    fc.assert(
      fc.property(letters, stops, fc.array(fc.integer({ min: 0, max: 40 })), (text, stopList, cuts) => {
        const matcher = new StopMatcher(stopList);
        const borders = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
        let sent = '';
        let stop: string | undefined;
        for (const [index, border] of borders.slice(1).entries()) {
          const result = matcher.push(text.slice(borders[index], border));
          sent += result.text;
          stop ??= result.stop;
        }
        sent += matcher.flush();
        const ends = stopList
          .map((candidate) => ({
            candidate,
            end: text.indexOf(candidate) + candidate.length,
            at: text.indexOf(candidate),
          }))
          .filter((entry) => entry.at >= 0)
          .sort((a, b) => a.end - b.end || a.at - b.at);
        expect(stop).toBe(ends[0]?.candidate);
        expect(sent).toBe(ends[0] ? text.slice(0, ends[0].at) : text);
      }),
      { numRuns: 1000 },
    );
  });

  it('hold back no more than what could still become a stop string', () => {
    const matcher = new StopMatcher(['###', 'STOP']);
    expect(matcher.push('hello #')).toEqual({ text: 'hello ' });
    expect(matcher.push('#x')).toEqual({ text: '##x' });
    expect(matcher.push(' ST')).toEqual({ text: ' ' });
    expect(matcher.push('OP and more')).toEqual({ text: '', stop: 'STOP' });
  });
});

describe('sentences', () => {
  it('cover any text exactly', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'B', '.', '!', '。', ' ', '\n', '"', '1', '\t') }), (text) => {
        const spans = splitSentences(text);
        expect(spans.map((span) => text.slice(span.start, span.end)).join('')).toBe(text);
        for (const span of spans) expect(span.end).toBeGreaterThan(span.start);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    [
      'Dr. Smith met J. S. Bach, i.e. him, at 3.14 p.m. today! Fine. ',
      ['Dr. Smith met J. S. Bach, i.e. him, at 3.14 p.m. today! ', 'Fine. '],
    ],
    ['"Really?" she asked. Yes...', ['"Really?" she asked. ', 'Yes...']],
    ['今天。「好。」对吗？', ['今天。', '「好。」', '对吗？']],
    ['a();\n  b();\n', ['a();\n', '  b();\n']],
  ])('end where a reader would say: %j', (text, expected) => {
    expect(splitSentences(text).map((span) => text.slice(span.start, span.end))).toEqual(expected);
  });

  it('take linear time', () => {
    const start = process.cpuUsage();
    for (const text of ['a'.repeat(2e6), '.'.repeat(2e6), ' '.repeat(2e6), 'Ab. '.repeat(5e5)]) splitSentences(text);
    expect(process.cpuUsage(start).user / 1e3).toBeLessThan(8000);
  });
});
