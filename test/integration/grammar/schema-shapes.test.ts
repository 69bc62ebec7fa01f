/**
 * A hundred schemas: what the grammar lets through is what a validator (ajv) lets through. Each fitting value, and values
 * next to it that mostly do not fit: a field more or less, another type, another length, numbers beyond the bounds.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enforceableSchema } from '../../../src/grammar/json-schema.js';
import type { OutputStructure } from '../../../src/grammar/output-structure.js';
import { GrammarWalk, seeded } from '../../support/grammar-walk.js';
import { SCHEMA_SHAPES } from '../../support/schema-shapes.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const ajv = new Ajv2020({
  strict: false,
  formats: { date: /^\d{4}-\d{2}-\d{2}$/, uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i },
});
/** Neighbours tried of each schema. */
const MOST_NEIGHBOURS = 10;

let walks: GrammarWalk;
beforeAll(async () => {
  walks = await GrammarWalk.open(directoryOf('qwen2'));
});
afterAll(() => walks.close());

/** JSON on one line, with a space behind each comma and colon: one of the forms that the grammar takes. */
function written(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, member]) => `${JSON.stringify(name)}: ${written(member)}`)
    .join(', ')}}`;
}

/** Values that differ in one place. */
function* neighbours(value: unknown): Iterable<unknown> {
  if (Array.isArray(value)) {
    yield [];
    yield [...value, ...value];
    yield 'a list';
    for (const [at, member] of value.entries()) {
      for (const other of neighbours(member)) yield value.with(at, other);
    }
  } else if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    for (const [name] of entries) yield Object.fromEntries(entries.filter(([other]) => other !== name));
    yield { ...value, other: 1 };
    yield null;
    for (const [name, member] of entries) {
      for (const other of neighbours(member)) yield { ...value, [name]: other };
    }
  } else if (typeof value === 'string') yield* [`${value}!`, '', 7, value.slice(1), [value]];
  else if (typeof value === 'number') yield* [-value - 1, value + 100_000, value + 0.5, String(value), null];
  else yield* [value === null ? 'null' : null, 'true', 0, value !== true];
}

test('there are a hundred, each with a name of its own', () => {
  expect(SCHEMA_SHAPES).toHaveLength(100);
  expect(new Set(SCHEMA_SHAPES.map(({ name }) => name)).size).toBe(100);
});

describe.each(SCHEMA_SHAPES)('$name', ({ schema, fitting }) => {
  test('lets through what a validator does', async () => {
    const structure: OutputStructure = {
      kind: 'json_schema',
      schema: JSON.stringify(enforceableSchema(schema, 'schema')),
    };
    const fits = ajv.compile(schema);
    for (const value of fitting) {
      expect(fits(value), `${written(value)}: ${ajv.errorsText(fits.errors)}`).toBe(true);
      expect([written(value), await walks.accepts(structure, written(value))]).toEqual([written(value), true]);
    }
    const random = seeded(fitting.length + written(fitting).length);
    const near = fitting.flatMap((value) => [...neighbours(value)]).map((value) => ({ value, rank: random() }));
    for (const { value } of near.sort((a, b) => a.rank - b.rank).slice(0, MOST_NEIGHBOURS)) {
      expect([written(value), await walks.accepts(structure, written(value))]).toEqual([written(value), fits(value)]);
    }
    const drawn = await walks.walk(structure, random);
    let value: unknown;
    try {
      value = JSON.parse(drawn);
    } catch {
      return; // A walk that was cut off.
    }
    expect(fits(value), `${drawn}: ${ajv.errorsText(fits.errors)}`).toBe(true);
  }, 300_000);
});
