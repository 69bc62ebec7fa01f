/** Which schemas can be enforced, and what is said of the others. */
import { describe, expect, test } from 'vitest';
import { enforceableSchema } from '../../../src/grammar/json-schema.js';

const made = (schema: unknown) => enforceableSchema(schema, 'response_format');
const refusal = (schema: unknown): string => {
  try {
    made(schema);
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid_request', param: 'response_format' });
    return (error as Error).message;
  }
  return 'it was taken';
};

test.each([
  [{ type: 'integer', minimum: 5, exclusiveMinimum: 5, maximum: 9 }, 'blockstitch integer from 6 to 9'],
  [{ type: 'integer', exclusiveMaximum: 0 }, 'blockstitch integer from any to -1'],
])('the bounds of %j are joined', (schema, mark) => {
  expect(enforceableSchema(schema, 'schema')).toEqual({ const: mark });
});

describe('a schema', () => {
  test('is taken with what restricts values, without what only describes them', () => {
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: 'Person',
      type: 'object',
      properties: {
        name: { type: 'string', description: 'Who', default: 'x', maxLength: 9 },
        age: { type: 'integer', minimum: 0 },
      },
      required: ['name'],
      additionalProperties: false,
    };
    expect(made(schema)).toEqual({
      type: 'object',
      properties: { name: { type: 'string', maxLength: 9 }, age: { const: 'blockstitch integer from 0 to any' } },
      required: ['name'],
      additionalProperties: false,
    });
  });

  test('may leave an object or an array open', () => {
    expect(made({ type: 'object' })).toEqual({ type: 'object', additionalProperties: true });
    expect(made({ type: 'array' })).toEqual({ type: 'array', items: {} });
    expect(made({ type: ['array', 'null'], items: true })).toEqual({ type: ['array', 'null'], items: {} });
    expect(made({ type: 'object', properties: { a: {} } })).toEqual({ type: 'object', properties: { a: {} } });
  });

  test('may refer to its own parts', () => {
    const node = { type: 'object', properties: { next: { $ref: '#/$defs/a~1b' } } };
    expect(made({ $ref: '#/$defs/a~1b', $defs: { 'a/b': node } })).toEqual({
      $ref: '#/$defs/a~1b',
      $defs: { 'a/b': node },
    });
    expect(refusal({ $ref: 'https://example.com/x' })).toMatch(/\/\$ref must point into this schema/);
    expect(refusal({ $ref: '#/$defs/x' })).toMatch(/points to nothing: #\/\$defs\/x/);
  });

  test.each([
    ['not', { type: 'object', properties: { a: { not: {} } } }, '/properties/a/not is not supported'],
    ['if', { if: {} }, '/if is not supported'],
    ['uniqueItems', { type: 'array', uniqueItems: true }, '/uniqueItems is not supported'],
    ['multipleOf', { type: 'integer', multipleOf: 3 }, '/multipleOf is not supported'],
    ['a bound of numbers', { type: 'number', minimum: 0.5 }, '/minimum is supported for the type integer only'],
    ['a bound with a fraction', { type: 'integer', maximum: 0.5 }, '/maximum must be a whole number'],
    ['several allOf', { allOf: [{}, {}] }, '/allOf has more than one schema'],
    [
      'oneOf that overlaps',
      { oneOf: [{ type: 'integer' }, { type: 'number' }] },
      '/oneOf has alternatives that may fit',
    ],
    ['false', { type: 'array', items: false }, '/items is false'],
    ['an empty enum', { enum: [] }, '/enum is empty'],
    ['a bad pattern', { type: 'string', pattern: '(' }, '/pattern is not a regular expression'],
    ['a count beyond all', { type: 'string', maxLength: 1e9 }, '/maxLength must be a whole number from 0 to 10000'],
    ['a number', 7, 'it must be an object'],
    ['anyOf that is no list', { anyOf: {} }, '/anyOf must be a list'],
  ])('is refused by name for %s', (_, schema, words) => {
    expect(refusal(schema)).toContain(words);
  });

  test.each([
    ['two keywords for strings', { type: 'string', pattern: 'a', maxLength: 3 }, '/pattern stands beside minLength or'],
    ['format beside pattern', { type: 'string', format: 'date', pattern: 'a' }, '/pattern stands beside format'],
    [
      'what stands beside anyOf',
      { properties: { a: {} }, anyOf: [{ required: ['a'] }] },
      '/anyOf stands beside properti',
    ],
    [
      'what stands beside a reference',
      { $ref: '#/$defs/a', maxLength: 2, $defs: { a: {} } },
      '/$ref stands beside maxL',
    ],
    ['what stands beside enum', { enum: ['abc'], maxLength: 2 }, '/enum stands beside maxLength'],
    ['a constant of another type', { type: 'string', const: 5 }, '/const holds no value of the type'],
    [
      'a name that may not be there',
      { properties: {}, required: ['a'], additionalProperties: false },
      '/required names "a"',
    ],
    ['names by two patterns', { patternProperties: { a: {}, b: {} } }, '/patternProperties is supported alone'],
    ['keywords of two types', { maxLength: 3, items: {} }, '/type is missing'],
    ['a type that is none', { type: 'frog' }, '/type must be one of'],
    ['required names that are none', { required: [1] }, '/required must be a list of strings'],
    ['a lookahead', { pattern: 'a(?=b)' }, '/pattern looks ahead or behind'],
    ['an anchor inside', { pattern: '(^a|b)' }, '/pattern has ^ inside'],
    ['an escape that is none', { $ref: '#/%zz' }, '/$ref points to nothing'],
    ['an anchor for a reference', { $ref: '#foo' }, '/$ref must point into this schema'],
  ])('is refused for what would be dropped: %s', (_, schema, words) => {
    expect(refusal(schema)).toContain(words);
  });

  test('says what its keywords mean together', () => {
    expect(made({ type: 'string', enum: ['a', 1] })).toEqual({ enum: ['a'] });
    expect(made({ type: ['integer', 'null'], enum: [1, 1.5, null] })).toEqual({ enum: [1, null] });
    expect(made({ minLength: 2 })).toEqual({ type: 'string', minLength: 2 });
    expect(made({ maxItems: 2 })).toEqual({ type: 'array', maxItems: 2, items: {} });
    expect(made({ type: 'object', anyOf: [{ type: 'object' }] })).toEqual({
      anyOf: [{ type: 'object', additionalProperties: true }],
    });
    expect(made({ required: ['a'] })).toEqual({
      ...{ type: 'object', required: ['a'], properties: { a: {} }, additionalProperties: true },
    });
    expect(made({ properties: {}, required: ['a'], additionalProperties: { type: 'null' } })).toMatchObject({
      properties: { a: { type: 'null' } },
    });
    expect(made({ prefixItems: [{ type: 'null' }], items: false })).toEqual({
      ...{ type: 'array', prefixItems: [{ type: 'null' }] },
    });
    expect(made({ type: 'string', format: 'colour' })).toEqual({ type: 'string' });
  });

  test('may say what is neutral', () => {
    expect(made({ type: 'array', items: {}, uniqueItems: false })).toEqual({ type: 'array', items: {} });
  });

  test('may have oneOf where no value fits two: types, constants, and what tells variants apart', () => {
    const variant = (kind: string) => ({ type: 'object', properties: { kind: { const: kind } }, required: ['kind'] });
    expect(refusal({ oneOf: [{ type: 'string' }, { type: 'null' }, { type: 'array', items: {} }] })).toBe(
      'it was taken',
    );
    expect(refusal({ oneOf: [{ const: 1 }, { enum: [2, 3] }] })).toBe('it was taken');
    expect(refusal({ oneOf: [{ $ref: '#/$defs/a' }, variant('b')], $defs: { a: variant('a') } })).toBe('it was taken');
    expect(refusal({ oneOf: [variant('a'), variant('a')] })).toContain('/oneOf');
  });

  test('that is endlessly deep is refused', () => {
    let schema: object = {};
    for (let depth = 0; depth < 100; depth++) schema = { type: 'array', items: schema };
    expect(refusal(schema)).toMatch(/lies deeper than 64 levels/);
  });
});
