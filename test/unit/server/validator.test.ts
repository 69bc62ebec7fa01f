/** The fault in a request is found and named, also deep in a list that is too long to describe whole. */
import { Type } from '@fastify/type-provider-typebox';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeValidation } from '../../../src/server/validation-message.js';
import { validatorCompiler } from '../../../src/server/validator.js';

const SCHEMA = Type.Object({
  ids: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }))),
  few: Type.Optional(Type.Array(Type.String(), { maxItems: 600 })),
  items: Type.Optional(Type.Array(Type.Object({ name: Type.String(), tags: Type.Array(Type.String()) }))),
});
const validate = validatorCompiler({ schema: SCHEMA, method: 'POST', url: '/', httpPart: 'body' }) as (
  value: unknown,
) => {
  value?: unknown;
  error?: Parameters<typeof describeValidation>[0];
};

function described(value: unknown): { reason: string; param?: string } {
  const { error } = validate(value);
  expect(error).toBeDefined();
  return describeValidation(error ?? []);
}

describe('the validator', () => {
  it('gives a valid value back as it was', () => {
    const value = { ids: [1, 2], few: ['a'], items: [{ name: 'n', tags: [] }], other: true };
    expect(validate(value)).toEqual({ value });
  });

  it('names the element that is wrong, wherever it stands', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4999 }), (at) => {
        const ids = Array.from({ length: 5000 }, (_, index) => (index === at ? -1 : index));
        expect(described({ ids })).toEqual({ param: `ids[${at}]`, reason: `\`ids[${at}]\` must be >= 0.` });
      }),
      { numRuns: 50 },
    );
  });

  it('names a field in an element of a long list, and an element of a list in it', () => {
    const items: { name: unknown; tags: unknown[] }[] = Array.from({ length: 700 }, () => ({ name: 'n', tags: ['t'] }));
    items[650] = { name: 7, tags: [] };
    expect(described({ items }).param).toBe('items[650].name');
    items[650] = { name: 'n', tags: [...Array(500).fill('t'), null] };
    expect(described({ items }).param).toBe('items[650].tags[500]');
    items[300] = { name: 'n', tags: [...Array(500).fill('t'), null] };
    items[650] = { name: 'n', tags: [] };
    expect(described({ items }).param).toBe('items[300].tags[500]');
  });

  it('says that a list is too long, and how long it may be', () => {
    expect(described({ few: Array(5000).fill('x') })).toEqual({
      param: 'few',
      reason: '`few` must not have more than 600 items.',
    });
  });

  it("tells what is wrong with the alternative that a value's type names", () => {
    const Said = Type.Object({ type: Type.Optional(Type.Literal('said')), text: Type.String() });
    const Called = Type.Object({ type: Type.Literal('called'), name: Type.String(), id: Type.String() });
    const schema = Type.Object({ input: Type.Union([Type.String(), Type.Array(Type.Union([Said, Called]))]) });
    const check = validatorCompiler({ schema, method: 'POST', url: '/', httpPart: 'body' }) as typeof validate;
    const said = (...input: unknown[]) => describeValidation(check({ input }).error ?? []).reason;
    expect(said({ type: 'called', name: 'f' })).toBe('`input[0].id` is required.');
    expect(said({ text: 'x' }, { type: 'called', name: 7, id: 'a' })).toBe('`input[1].name` must be string.');
    expect(said({ type: 'said' })).toBe('`input[0].text` is required.');
    expect(said({})).toBe('`input[0].text` is required.');
    expect(said({ type: 'other' })).toBe('`input[0].type` must be "said", or must be "called".');
    expect(said(7)).toBe('`input[0]` must be object.');
  });

  it('describes a hundred thousand wrong elements in no time', () => {
    const started = process.cpuUsage();
    expect(described({ ids: Array(100_000).fill('x') }).param).toBe('ids[0]');
    expect(described({ ids: [...Array(100_000).fill(1), 'x'] }).param).toBe('ids[100000]');
    expect(process.cpuUsage(started).user / 1000).toBeLessThan(500);
  });

  it('reads a number in a query as JSON writes it, and nothing else', () => {
    const schema = Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1 })) });
    const query = validatorCompiler({ schema, method: 'GET', url: '/', httpPart: 'querystring' }) as typeof validate;
    expect(query({ limit: '12', other: 'true' })).toEqual({ value: { limit: 12, other: 'true' } });
    for (const limit of ['true', '', ' 3', '0x10', '1.5', '0', ['1', '2'], 'null']) {
      expect(query({ limit }).error, String(limit)).toBeDefined();
    }
  });
});
