/** Grammars over a real vocabulary, without a model: whatever tokens are drawn among those allowed, the text fits. */
import { isIPv4 } from 'node:net';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GrammarService, type GrammarTimes } from '../../../src/grammar/grammar-service.js';
import { enforceableSchema } from '../../../src/grammar/json-schema.js';
import { MaskLink, type NextToken } from '../../../src/grammar/mask-link.js';
import { JSON_OBJECT, type OutputStructure } from '../../../src/grammar/output-structure.js';
import type { Tokenizer } from '../../../src/text/tokenizer.js';
import { GrammarWalk, isAllowed, seeded, WAIT_MS } from '../../support/grammar-walk.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const FORMATS = {
  ipv4: isIPv4,
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  'json-pointer': /^(\/([^/~]|~[01])*)*$/,
};

let walks: GrammarWalk;
let tokenizer: Tokenizer;
let link: MaskLink;
let stop: number;

beforeAll(async () => {
  walks = await GrammarWalk.open(directoryOf('qwen2'));
  ({ tokenizer, link, stop } = walks);
});
afterAll(() => walks.close());

const compile = (structure: OutputStructure) => walks.compile(structure);
const walk = (structure: OutputStructure, random: () => number) => walks.walk(structure, random);
const accepts = (structure: OutputStructure, text: string) => walks.accepts(structure, text);

const schemaOf = (schema: object): OutputStructure => ({
  kind: 'json_schema',
  schema: JSON.stringify(enforceableSchema(schema, 'schema')),
});

const leaf = fc.oneof(
  fc.constant({ type: 'boolean' }),
  fc.constant({ type: 'null' }),
  fc.constant({ type: 'number' }),
  fc.constant({ type: ['integer', 'null'] }),
  fc.record({ type: fc.constant('string'), minLength: fc.nat(2), maxLength: fc.integer({ min: 2, max: 8 }) }),
  fc.constantFrom('[a-z]{2,5}', 'A\\d+', '(x|yz)', '.{1,4}', '[^a]{2}', '\\S\\s', '"\\\\?').map((pattern) => ({
    ...{ type: 'string', pattern: `^${pattern}$` },
  })),
  fc.constantFrom('ipv4', 'json-pointer', 'uuid').map((format) => ({ type: 'string', format })),
  fc.constantFrom({ type: 'string', enum: ['a', 1] }, { minLength: 1, maxLength: 3 }, { required: ['a'] }),
  fc
    .tuple(fc.integer({ min: -50, max: 50 }), fc.nat(200))
    .map(([minimum, more]) => ({ type: 'integer', minimum, maximum: minimum + more })),
  fc.constantFrom({ enum: ['red', 'gr"een', 7, null] }, { const: { a: [1, 'é'] } }),
);
const { schema: drawnSchema } = fc.letrec<{ schema: object }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.record({
      type: fc.constant('array'),
      items: tie('schema'),
      minItems: fc.nat(1),
      maxItems: fc.integer({ min: 1, max: 3 }),
    }),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    fc
      .dictionary(fc.constantFrom('name', 'age', 'the place', 'ü'), tie('schema'), { minKeys: 1 })
      .chain((properties) =>
        fc
          .subarray(Object.keys(properties))
          .map((required) => ({ type: 'object', properties, required, additionalProperties: false })),
      ),
  ),
}));

describe('a text of allowed tokens', () => {
  test('fits its schema, whatever is drawn', async () => {
    const ajv = new Ajv2020({ strict: false, formats: FORMATS });
    let walked = 0;
    await fc.assert(
      fc.asyncProperty(drawnSchema, fc.integer(), async (schema, seed) => {
        const text = await walk(schemaOf(schema), seeded(seed));
        let value: unknown;
        try {
          value = JSON.parse(text);
        } catch {
          // A walk that was cut off; few are.
          return;
        }
        walked++;
        expect(ajv.validate(schema, value), `${text} against ${JSON.stringify(schema)}`).toBe(true);
      }),
      { numRuns: 60 },
    );
    expect(walked).toBeGreaterThan(40);
  }, 300_000);

  test('fits an expression, a choice, a grammar', async () => {
    expect(await walk({ kind: 'regex', pattern: '(yes|no), [a-z]{3}' }, Math.random)).toMatch(/^(yes|no), [a-z]{3}$/);
    const choices = ['red wine', 'green "tea"\\', '☕\n', '-'];
    expect(choices).toContain(await walk({ kind: 'choice', choices }, Math.random));
    expect(await walk({ kind: 'grammar', ebnf: 'root ::= "a" digits\ndigits ::= [0-9]{3}' }, Math.random)).toMatch(
      /^a\d{3}$/,
    );
    expect(typeof JSON.parse(await walk(JSON_OBJECT, seeded(1)))).toBe('object');
  }, 300_000);

  test('of characters beyond ASCII is of those and no others', async () => {
    const expression: OutputStructure = { kind: 'regex', pattern: '[à-ÿ一-龥]{2}😀|[^é-ž]' };
    for (const text of ['é一😀', '龥à😀', 'z', '一'])
      expect([text, await accepts(expression, text)]).toEqual([text, true]);
    for (const text of ['ab😀', 'é', 'ž', 'é一'])
      expect([text, await accepts(expression, text)]).toEqual([text, false]);
    const schema = schemaOf({ type: 'string', pattern: '^[é"]{2}$' });
    expect(await accepts(schema, '"é\\""')).toBe(true);
    expect(await accepts(schema, '"é""')).toBe(false);
  });

  test('of a schema stands on one line, without control characters', async () => {
    const object = schemaOf({ properties: { a: { type: 'string', maxLength: 2 } }, required: ['a'] });
    expect(await accepts(object, '{"a": "é"}')).toBe(true);
    expect(await accepts(object, '{\n  "a": "é"\n}')).toBe(false);
    expect(await accepts(object, '{"a": "\u0001"}')).toBe(false);
    expect(await accepts(object, '{"a": "\t"}')).toBe(false);
  });

  test('may be each choice, and nothing else', async () => {
    const choices = ['red wine', 'green "tea"\\', '☕\n', '-'];
    for (const choice of choices) expect(await accepts({ kind: 'choice', choices }, choice)).toBe(true);
    for (const other of ['red', 'red wine ', 'tea', ''])
      expect(await accepts({ kind: 'choice', choices }, other)).toBe(false);
  });

  test('never holds a control token, even inside a string', async () => {
    const structure = schemaOf({ type: 'string' });
    const { id, release } = await compile(structure);
    const request = ++walks.requests;
    link.open(request, id);
    const next = link.next(request, WAIT_MS);
    link.accept(request, tokenizer.tokenId('"') as number);
    const inside = link.next(request, WAIT_MS);
    if (typeof next !== 'object' || typeof inside !== 'object') throw new Error('no mask');
    const control = [...tokenizer.controlIds];
    expect(control.length).toBeGreaterThan(1);
    expect(control.filter((each) => isAllowed(inside.allowed, each))).toEqual([]);
    link.close(request);
    release();
  });
});

describe('a structure', () => {
  test.each<[string, OutputStructure, RegExp]>([
    ['an expression with a lookahead', { kind: 'regex', pattern: 'a(?=b)' }, /Lookahead is not supported/],
    ['a grammar with an unknown rule', { kind: 'grammar', ebnf: 'root ::= "a" b' }, /Rule "b" is not defined/],
    ['a grammar without a root', { kind: 'grammar', ebnf: 'top ::= "a"' }, /root/],
    ['a type that is none', { kind: 'json_schema', schema: '{"type":"frog"}' }, /Unsupported type "frog"/],
    [
      'a length that no text has',
      { kind: 'json_schema', schema: '{"type":"string","minLength":5,"maxLength":3}' },
      /is wrong or not supported: it is too large, or its limits leave no value\.$/,
    ],
    ['a grammar without an end', { kind: 'grammar', ebnf: 'root ::= root' }, /no text fits it/],
  ])('is refused with the reason: %s', async (_, structure, words) => {
    await expect(compile(structure)).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'structured_outputs',
      message: expect.stringMatching(words),
    });
    // Those that wait behind it are not hurt.
    const [refused, taken] = await Promise.allSettled([
      compile(structure),
      compile({ kind: 'regex', pattern: `x{${++walks.requests}}` }),
    ]);
    expect([refused.status, taken.status]).toEqual(['rejected', 'fulfilled']);
  });

  test('is compiled once for all who ask, and anew after it was refused', async () => {
    const structure: OutputStructure = { kind: 'regex', pattern: 'once[0-9]' };
    const [one, two] = await Promise.all([compile(structure), compile(structure)]);
    expect(two.id).toBe(one.id);
    one.release();
    two.release();
    expect((await compile(structure)).id).toBe(one.id);
  });
});

test('what nobody waits for any more is not compiled', async () => {
  const own = new GrammarService({ checkpoint: directoryOf('qwen2'), vocabSize: 300, stopTokenIds: [] });
  const regex = (pattern: string): OutputStructure => ({ kind: 'regex', pattern });
  const clients = Array.from({ length: 20 }, () => new AbortController());
  const first = own.compile(regex('a'), 'p');
  const gone = clients.map(({ signal }, index) => own.compile(regex(`b{${index}}c`), 'p', signal));
  const shared = own.compile(regex('b{3}c'), 'p');
  for (const client of clients) client.abort(new Error('gone'));
  expect((await Promise.allSettled(gone)).map(({ status }) => status)).toEqual(gone.map(() => 'rejected'));
  const { id } = await first;
  // Numbers are given in order: what was refused has one too, but is made anew for who asks again.
  expect((await shared).id).toBe(id + 4);
  expect((await own.compile(regex('b{5}c'), 'p')).id).toBeGreaterThan(id + 20);
  await expect(own.compile(regex('d'), 'p', clients[0]?.signal)).rejects.toThrow('gone');
  await own.close();
});

/** A service of its own, with two engines. */
function ownService(times: GrammarTimes = {}, maxDownMs?: number) {
  const setup = { checkpoint: directoryOf('qwen2'), vocabSize: tokenizer.vocabSize, stopTokenIds: [stop] };
  const service = new GrammarService(setup, times);
  const engines = [1, 2].map(() => {
    const engine = new MaskLink(tokenizer.vocabSize, maxDownMs);
    service.addEngine((port, line) => engine.connect(port, line));
    return engine;
  }) as [MaskLink, MaskLink];
  const close = async () => {
    for (const engine of engines) engine.end();
    await service.close();
  };
  return { service, engines, close };
}

/** What may come next, when the engine's thread has heard of it. */
async function heard(engine: MaskLink, request: number): Promise<NextToken> {
  const endMs = performance.now() + WAIT_MS;
  while (engine.next(request, 0) === 'waiting' && performance.now() < endMs) await new Promise(setImmediate);
  return engine.next(request, 0);
}

/** Follows a text as an engine does. */
async function follow(engine: MaskLink, request: number, text: string): Promise<void> {
  for (const letter of text) {
    expect(typeof (await heard(engine, request))).toBe('object');
    engine.accept(request, tokenizer.tokenId(letter) as number);
  }
}

async function allowedLetters(engine: MaskLink, request: number): Promise<string> {
  const next = await heard(engine, request);
  if (typeof next !== 'object') return next;
  return [...'abcdefgh'].filter((letter) => isAllowed(next.allowed, tokenizer.tokenId(letter) as number)).join('');
}

const LETTERS: OutputStructure = { kind: 'regex', pattern: 'abcdefg' };

test('texts whose grammar thread is lost go on in another one', async () => {
  const { service, engines, close } = ownService();
  const [one, two] = engines;
  const letters = await service.compile(LETTERS, 'p');
  const unused = await service.compile({ kind: 'regex', pattern: 'gh' }, 'p');
  unused.release();
  one.open(1, letters.id);
  two.open(1, letters.id);
  await follow(one, 1, 'abc');
  await follow(two, 1, 'a');
  for (let times = 0; times < 2; times++) {
    await service.restart();
    // The mask of the lost thread may be read or not: the text goes on where it was.
    await follow(one, 1, times === 0 ? 'd' : 'e');
    one.open(2 + times, letters.id);
    expect(await allowedLetters(one, 2 + times)).toBe('a');
  }
  expect(await allowedLetters(one, 1)).toBe('f');
  expect(await allowedLetters(two, 1)).toBe('b');
  one.close(1);
  const another = await service.compile({ kind: 'regex', pattern: 'gh' }, 'p');
  one.open(9, another.id);
  expect(await allowedLetters(one, 9)).toBe('g');
  // Not for ever: a thread may be lost because of what is compiled again.
  await service.restart();
  expect(await allowedLetters(one, 9)).toBe('g');
  while (two.next(1, 0) !== 'failed') await new Promise(setImmediate);
  await close();
});

test('texts fail where no other thread comes', async () => {
  const { service, engines, close } = ownService({}, 50);
  const { id } = await service.compile(LETTERS, 'p');
  engines[0].open(1, id);
  await follow(engines[0], 1, 'ab');
  expect(await allowedLetters(engines[0], 1)).toBe('c');
  await service.close();
  // The last mask of the thread is still true.
  await follow(engines[0], 1, 'c');
  expect(await heard(engines[0], 1)).toBe('failed');
  engines[0].open(2, id);
  expect(await heard(engines[0], 2)).toBe('failed');
  await close();
});

const NEVER_READ: OutputStructure = { kind: 'regex', pattern: '((((b{60}){60}){60}){60})' };
const RULES = Array.from({ length: 2000 }, (_, index) => `r${index}`);
const RULES_OF_A = RULES.map((rule) => `${rule} ::= "a"?`).join('\n');
/** Its first mask has no end. */
const NEVER_COMPILED: OutputStructure = { kind: 'grammar', ebnf: `root ::= ${RULES.join(' ')}\n${RULES_OF_A}` };

test.each([
  ['read', NEVER_READ, { structureMs: 1000 }],
  ['compiled', NEVER_COMPILED, { compileMs: 2000 }],
])(
  'who waits behind what cannot be %s in time is served, and whose text is followed goes on',
  async (stage, slow, times) => {
    const setup = { checkpoint: directoryOf('qwen2'), vocabSize: tokenizer.vocabSize, stopTokenIds: [stop] };
    const own = new GrammarService(setup, times);
    const engine = new MaskLink(tokenizer.vocabSize);
    own.addEngine((port, line) => engine.connect(port, line));
    const running = await own.compile({ kind: 'regex', pattern: '[a-z]+' }, 'p');
    expect(running.id).toBeGreaterThan(0);
    engine.open(1, running.id);
    expect(typeof engine.next(1, WAIT_MS)).toBe('object');
    const [bad, good] = await Promise.allSettled([
      own.compile(slow, 'p'),
      own.compile({ kind: 'regex', pattern: 'yes00|no' }, 'p'),
    ]);
    expect(bad).toMatchObject({
      reason: { code: 'invalid_request', message: expect.stringContaining(`cannot be ${stage}: it took longer than`) },
    });
    expect(good).toMatchObject({ status: 'fulfilled' });
    engine.accept(1, tokenizer.tokenId('a') as number);
    expect(typeof engine.next(1, WAIT_MS)).toBe('object');
    engine.end();
    await own.close();
  },
);

test('a grammar that is slow to compile is followed apart from the others', async () => {
  const setup = { checkpoint: directoryOf('qwen2'), vocabSize: tokenizer.vocabSize, stopTokenIds: [stop] };
  const own = new GrammarService(setup, { quickMs: 0 });
  const engine = new MaskLink(tokenizer.vocabSize);
  own.addEngine((port, line) => engine.connect(port, line));
  const slow = await own.compile({ kind: 'regex', pattern: '[a-z]+' }, 'p');
  expect(slow.id).toBeLessThan(0);
  engine.open(1, slow.id);
  expect(typeof engine.next(1, WAIT_MS)).toBe('object');
  engine.accept(1, tokenizer.tokenId('a') as number);
  expect(typeof engine.next(1, WAIT_MS)).toBe('object');
  engine.end();
  await own.close();
});

test('a mask without an end costs the requests of its grammar, and no others', async () => {
  const { service, engines, close } = ownService({ stallMs: 1000 });
  const [one, two] = engines;
  const endless: OutputStructure = { kind: 'grammar', ebnf: `root ::= "x" ${RULES.join(' ')}\n${RULES_OF_A}` };
  const letters = await service.compile(LETTERS, 'p');
  const slow = await service.compile(endless, 'p');
  one.open(1, letters.id);
  await follow(one, 1, 'abc');
  two.open(1, letters.id);
  two.open(2, slow.id);
  await follow(two, 2, 'x');
  two.accept(1, tokenizer.tokenId('a') as number);
  expect(await heard(two, 2)).toBe('failed');
  expect(await allowedLetters(one, 1)).toBe('d');
  expect(await allowedLetters(two, 1)).toBe('b');
  await expect(service.compile(endless, 'p')).rejects.toMatchObject({
    code: 'invalid_request',
    message: expect.stringContaining('one of its masks took too long'),
  });
  const next = await service.compile({ kind: 'regex', pattern: '[a-z]+' }, 'p');
  one.open(3, next.id);
  expect(await allowedLetters(one, 3)).toBe('abcdefgh');
  await close();
});
