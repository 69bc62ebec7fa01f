/**
 * Answers with calls, of tokens drawn among those that the grammar of a request's tools allows, in every notation:
 * whatever is drawn, the parser finds calls that fit. The markers are control tokens, as in real checkpoints.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OutputStructure } from '../../../src/grammar/output-structure.js';
import { requestedTools } from '../../../src/server/generation/requested-tools.js';
import type { ChatBody } from '../../../src/server/schemas/chat-schema.js';
import { NOTATION_NAMES, NOTATIONS, writtenCalls } from '../../../src/tools/call-notation.js';
import { CallParser } from '../../../src/tools/call-parser.js';
import { GrammarWalk, seeded } from '../../support/grammar-walk.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const PARAMETERS = {
  find: {
    type: 'object',
    properties: { q: { type: 'string', maxLength: 6 }, place: { enum: ['Lima', 'Rasu'] } },
    required: ['q', 'place'],
    additionalProperties: false,
  },
  add: {
    type: 'object',
    properties: { terms: { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 3 } },
    required: ['terms'],
    additionalProperties: false,
  },
} as const;
const TOOLS = Object.entries(PARAMETERS).map(([name, parameters]) => ({
  type: 'function' as const,
  function: { name, parameters, strict: true },
}));
const ajv = new Ajv2020();

describe.each(NOTATION_NAMES)('with %s', (name) => {
  const notation = NOTATIONS[name];
  let directory: string;
  let walks: GrammarWalk;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'blockstitch-calls-'));
    await cp(directoryOf('qwen2'), directory, { recursive: true });
    const file = join(directory, 'tokenizer.json');
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll('<|im_start|>', notation.marker));
    walks = await GrammarWalk.open(directory);
    expect(walks.tokenizer.controlIds).toContain(walks.tokenizer.tokenId(notation.marker));
  });
  afterAll(async () => {
    await walks.close();
    await rm(directory, { recursive: true });
  });

  const structureOf = (fields: Partial<ChatBody>, besides?: OutputStructure) => {
    const asked = requestedTools({ messages: [], tools: TOOLS, ...fields } as ChatBody, notation, besides);
    return asked?.structure as OutputStructure;
  };

  function read(text: string) {
    const parser = new CallParser({ notation, functions: new Set(Object.keys(PARAMETERS)) });
    const calls: { name: keyof typeof PARAMETERS; arguments: string }[] = [];
    let content = '';
    for (const part of [...parser.push(text), ...parser.flush()]) {
      if (part.type === 'content') content += part.text;
      else if (part.type === 'call') calls.push({ name: part.name as keyof typeof PARAMETERS, arguments: '' });
      else (calls[part.index] as { arguments: string }).arguments += part.text;
    }
    return { content, calls, isWhole: parser.isWhole };
  }

  test('an answer that must call is calls that fit their schemas', async () => {
    const structure = structureOf({ tool_choice: 'required' });
    const names = new Set<string>();
    let several = 0;
    for (let seed = 1; seed <= 30; seed++) {
      const { content, calls, isWhole } = read(await walks.walk(structure, seeded(seed)));
      if (!isWhole) continue;
      expect(content).toBe('');
      expect(calls.length).toBeGreaterThan(0);
      for (const call of calls) {
        names.add(call.name);
        expect(ajv.validate(PARAMETERS[call.name], JSON.parse(call.arguments)), call.arguments).toBe(true);
      }
      if (calls.length > 1) several++;
    }
    expect([...names].sort()).toEqual(['add', 'find']);
    if (!notation.bare) expect(several).toBeGreaterThan(0);
  }, 120_000);

  test('an answer that must call one function calls it, once', async () => {
    const structure = structureOf({ tool_choice: { type: 'function', function: { name: 'add' } } });
    for (let seed = 1; seed <= 5; seed++) {
      const { content, calls } = read(await walks.walk(structure, seeded(seed)));
      expect([content, calls.map((call) => call.name)]).toEqual(['', ['add']]);
    }
  }, 60_000);

  test('under auto, strict functions are free text until a call begins; then it must fit', async () => {
    const structure = structureOf({});
    const good = writtenCalls({ ...notation, bare: false }, [{ name: 'add', arguments: '{"terms": [1, 2]}' }]);
    for (const text of ['Hello.', '<b>x</b>', '', good, `I add: ${good}`, `${good}`])
      expect([text, await walks.accepts(structure, text)]).toEqual([text, true]);
    for (const bad of ['[]', '["a"]', '[1, 2, 3, 4]'])
      expect(await walks.accepts(structure, good.replace('[1, 2]', bad))).toBe(false);
    expect(await walks.accepts(structure, `I add: ${good.replace('"add"', '"other"')}`)).toBe(false);
    if (!notation.bare) return;
    const bare = writtenCalls(notation, [{ name: 'add', arguments: '{"terms": [1]}' }]);
    expect(await walks.accepts(structure, bare)).toBe(true);
    expect(await walks.accepts(structure, bare.replace('[1]', '["1"]'))).toBe(false);
  }, 60_000);

  test('under auto, an answer with a form is that or calls', async () => {
    const structure = structureOf({}, { kind: 'choice', choices: ['yes', 'no'] });
    const call = writtenCalls(notation, [{ name: 'find', arguments: '{"q": "x", "place": "Lima"}' }]);
    for (const text of ['yes', 'no', call]) expect(await walks.accepts(structure, text)).toBe(true);
    for (const text of ['maybe', `yes ${call}`]) expect(await walks.accepts(structure, text)).toBe(false);
  }, 60_000);
});
