/** Calls in the text of an answer: each notation, what is no call, and any split of the text. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NOTATION_NAMES, NOTATIONS, type NotationName, writtenCalls } from '../../../src/tools/call-notation.js';
import { CallParser, type ParsedPart } from '../../../src/tools/call-parser.js';

const FUNCTIONS = new Set(['find', 'add']);

interface Answer {
  content: string;
  calls: { name: string; arguments: string }[];
  isWhole: boolean;
}

function read(name: NotationName, pieces: readonly string[], most?: number): Answer {
  const parser = new CallParser({
    ...{ notation: NOTATIONS[name], functions: FUNCTIONS },
    ...(most === undefined ? {} : { most }),
  });
  return answerOf([...pieces.flatMap((piece) => parser.push(piece)), ...parser.flush()], parser.isWhole);
}

function answerOf(parts: readonly ParsedPart[], isWhole: boolean): Answer {
  const answer: Answer = { content: '', calls: [], isWhole };
  for (const part of parts) {
    if (part.type === 'content') answer.content += part.text;
    else if (part.type === 'call') {
      expect(part.index).toBe(answer.calls.length);
      answer.calls.push({ name: part.name, arguments: '' });
    } else {
      expect(part.index).toBe(answer.calls.length - 1);
      (answer.calls[part.index] as { arguments: string }).arguments += part.text;
    }
  }
  return answer;
}

const find = { name: 'find', arguments: '{"q": "Lima }\\" ]", "n": [1, {"a": null}]}' };
const add = { name: 'add', arguments: '{}' };
const content = (text: string): Answer => ({ content: text, calls: [], isWhole: true });
const called = (...calls: Answer['calls']): Answer => ({ content: '', calls, isWhole: true });

describe.each(NOTATION_NAMES)('calls in the notation %s', (name) => {
  test('are read as the notation writes them, one and several', () => {
    for (const calls of [[find], [find, add]])
      expect(read(name, [writtenCalls(NOTATIONS[name], calls)])).toEqual(called(...calls));
  });

  test('stand behind content, which comes first', () => {
    const { marker } = NOTATIONS[name];
    const written = writtenCalls({ ...NOTATIONS[name], bare: false }, [find]);
    expect(read(name, [`I look it up.\n\n${written}`])).toEqual({ ...called(find), content: 'I look it up.' });
    expect(read(name, [`I look ${marker.slice(0, 4)} it up.`])).toEqual(content(`I look ${marker.slice(0, 4)} it up.`));
  });

  test('are the same however the text is cut, and no text is lost', () => {
    const { marker, opening, separator, closing } = NOTATIONS[name];
    const piece = fc.oneof(
      fc.constantFrom(
        marker,
        opening,
        separator,
        closing,
        ' ',
        '\n',
        '{',
        '}',
        '[',
        ']',
        ',',
        ';',
        '"',
        ':',
        '\\',
        '😀',
      ),
      fc.constantFrom('"name"', '"find"', '"arguments"', '"parameters"', '{"q": 1}', 'null', '"id"', '</tool_call>'),
      fc.constantFrom(writtenCalls(NOTATIONS[name], [find, add]), writtenCalls(NOTATIONS[name], [find])),
      fc.string({ maxLength: 5 }),
    );
    const cuts = fc.array(fc.nat({ max: 40 }), { maxLength: 40 });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), cuts, (pieces, lengths) => {
        const text = pieces.join('');
        const whole = read(name, [text]);
        expect(read(name, split(text, lengths))).toEqual(whole);
        expect(read(name, [...text])).toEqual(whole);
        expect(read(name, text.split(''))).toEqual(whole);
        if (whole.calls.length === 0) expect(whole.content).toBe(text);
        // What is given out stands in the text, in this order.
        let at = 0;
        for (const character of whole.content.replace(/\s/g, '')) {
          at = text.indexOf(character, at) + 1;
          expect(at).toBeGreaterThan(0);
        }
      }),
      { numRuns: 400 },
    );
  });

  test('drawn calls come back as they were written', () => {
    const call = fc.record({
      name: fc.constantFrom('find', 'add'),
      arguments: fc.dictionary(fc.string(), fc.jsonValue()),
    });
    fc.assert(
      fc.property(fc.array(call, { minLength: 1, maxLength: 4 }), fc.boolean(), (drawn, indented) => {
        const calls = drawn.map((each) => ({
          name: each.name,
          arguments: JSON.stringify(each.arguments, undefined, indented ? 2 : undefined),
        }));
        const text = writtenCalls(NOTATIONS[name], calls);
        expect(read(name, text.split(''))).toEqual(called(...calls));
        expect(read(name, text.split(''), 1)).toEqual(called(calls[0] as (typeof calls)[0]));
      }),
    );
  });

  test('may be cut short: what was read of the arguments is given out', () => {
    const text = writtenCalls(NOTATIONS[name], [find]);
    const cut = text.slice(0, text.indexOf('Lima'));
    expect(read(name, [cut])).toEqual({
      ...called({ name: 'find', arguments: '{"q": "' }),
      isWhole: false,
    });
    const early = text.slice(0, text.indexOf('find'));
    expect(read(name, [early])).toEqual(content(early));
  });
});

describe('the name and the arguments of a call', () => {
  const hermes = (json: string) => read('hermes', [`<tool_call>${json}</tool_call>`]);

  test.each([
    ['in the other order', '{"arguments": {"a": 1}, "name": "find"}', '{"a": 1}'],
    ['under the other name', '{"name": "find", "parameters": {"a": 1}}', '{"a": 1}'],
    ['as a string', '{"name": "find", "arguments": "{\\"a\\": 1}"}', '{"a": 1}'],
    ['as null', '{"name": "find", "arguments": null}', '{}'],
    ['as nothing', '{"name": "find"}', '{}'],
    ['beside other fields', '{"id": 7, "x": {"y": [1]}, "name": "find", "arguments": {}, "z": true}', '{}'],
    ['once', '{"name": "find", "name": "add", "arguments": {"a": 1}, "arguments": {"b": 2}}', '{"a": 1}'],
    ['as text that is no JSON', '{"name": "find", "arguments": {a: 1,}}', '{a: 1,}'],
  ])('may stand %s', (_, json, text) => {
    expect(hermes(json)).toEqual(called({ name: 'find', arguments: text }));
  });

  test('name a function that the client does not have: it hears of it', () => {
    expect(hermes('{"name": "fnid", "arguments": {}}')).toEqual(called({ name: 'fnid', arguments: '{}' }));
  });

  test.each([
    '{}',
    '[]',
    '{"name": 5, "arguments": {}}',
    '{"name": "", "arguments": {}}',
    '{"name": "find", "arguments": [1]}',
  ])('are missing in %s: it is content', (json) => {
    const text = `<tool_call>${json}</tool_call>`;
    expect(read('hermes', [text])).toEqual(content(text));
  });
});

describe('what stands around calls', () => {
  const one = '{"name": "add", "arguments": {}}';

  test('is content where it does not belong to the notation', () => {
    const answer = read('hermes', [`<tool_call>${one} and more </tool_call> end\n`]);
    expect(answer).toEqual({ ...called(add), content: ' and more </tool_call> end' });
    expect(read('mistral', [`[TOOL_CALLS] [${one}] ok`])).toEqual({ ...called(add), content: ' ok' });
  });

  test('may lack an end', () => {
    expect(read('hermes', [`<tool_call>${one}<tool_call>${one}`])).toEqual(called(add, add));
    expect(read('hermes', [`<tool_call>${one}\n</tool_`])).toEqual(called(add));
    expect(read('mistral', [`[TOOL_CALLS][${one},`])).toEqual(called(add));
    expect(read('llama3_json', ['{"name": "add", "parameters": {}'])).toEqual(called(add));
  });

  test('without a marker only the client’s functions are called, and other JSON is an answer', () => {
    for (const json of [
      '{"name": "Zokego", "parameters": {}}',
      '{"name": "add"}',
      '{"city": "Lima"}',
      '{"name": "add", "age": 3}',
    ])
      expect(read('llama3_json', [json])).toEqual(content(json));
    expect(read('llama3_json', [`Like ${one}`])).toEqual(content(`Like ${one}`));
    expect(read('llama3_json', [`<|python_tag|>${one}; ${one}`])).toEqual(called(add, add));
  });

  test('an answer in JSON is streamed from its first other key on', () => {
    const parser = new CallParser({ notation: NOTATIONS.llama3_json, functions: FUNCTIONS });
    expect(parser.push('{"city": ')).toEqual([{ type: 'content', text: '{"city":' }]);
  });
});

test('arguments are given out as they come', () => {
  const parser = new CallParser({ notation: NOTATIONS.hermes, functions: FUNCTIONS });
  expect(parser.push('<tool_call>\n{"name": "find", "argu')).toEqual([]);
  expect(parser.push('ments": {"q"')).toEqual([
    { type: 'call', index: 0, name: 'find' },
    { type: 'arguments', index: 0, text: '{"q"' },
  ]);
  expect(parser.push(': "Li')).toEqual([{ type: 'arguments', index: 0, text: ': "Li' }]);
  expect(parser.push('ma"}}\n</tool_call>')).toEqual([{ type: 'arguments', index: 0, text: 'ma"}' }]);
});

test('a long answer with many beginnings of calls is read in linear time', () => {
  const parser = new CallParser({ notation: NOTATIONS.hermes, functions: FUNCTIONS });
  const text = '<tool_call>{"x":['.repeat(20_000);
  const parts = [...parser.push(text), ...parser.flush()];
  expect(parts).toEqual([{ type: 'content', text }]);
});

function split(text: string, lengths: readonly number[]): string[] {
  const pieces: string[] = [];
  let at = 0;
  for (const length of lengths) {
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return [...pieces, text.slice(at)];
}
