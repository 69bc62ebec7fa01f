/** The OpenAPI document is one that generators of clients like: named shapes, each written once, under short names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Type } from '@fastify/type-provider-typebox';
import { describe, expect, it } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { withComponents, withoutReferences } from '../../../src/server/openapi-components.js';
import { named, usedAs } from '../../../src/server/schemas/named.js';

interface Schema {
  [key: string]: unknown;
  properties?: Record<string, Schema>;
  enum?: unknown[];
}

const document = JSON.parse(readFileSync(join(PACKAGE_DIR, 'openapi', 'openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, { operationId: string; tags: string[] }>>;
  components: { schemas: Record<string, Schema>; headers: Record<string, Schema> };
};
const { paths, components } = document;

/** Objects with fields, and enumerations, with the place where each stands. */
function shapes(node: unknown, place: string): { place: string; shape: string }[] {
  if (typeof node !== 'object' || node === null) return [];
  const schema = node as Schema;
  const inside = Object.entries(schema).flatMap(([key, part]) => shapes(part, `${place}/${key}`));
  const own =
    schema.properties !== undefined && schema['type'] === 'object'
      ? JSON.stringify([schema.properties, schema['required']])
      : Array.isArray(schema.enum)
        ? JSON.stringify([...schema.enum].sort())
        : undefined;
  return own === undefined ? inside : [...inside, { place, shape: withoutDescriptions(own) }];
}

const withoutDescriptions = (json: string) =>
  JSON.stringify(JSON.parse(json), (key, value) => (key === 'description' ? undefined : value));

describe('the OpenAPI document', () => {
  it('has no shape twice, and no shape without a name', () => {
    const all = [...shapes(components.schemas, '#'), ...shapes(paths, '#/paths')];
    const inline = all.filter(({ place }) => !/^#\/\w+$/.test(place));
    expect(inline.map(({ place }) => place)).toEqual([]);
    const twice = all.filter((one, index) => all.findIndex(({ shape }) => shape === one.shape) < index);
    expect(twice.map(({ place }) => place)).toEqual([]);
  });

  it('has names under 50 characters, and every name in use', () => {
    const text = JSON.stringify(document);
    for (const name of Object.keys(components.schemas)) {
      expect(name).toMatch(/^[A-Z][A-Za-z]{2,48}$/);
      expect(text.includes(`"#/components/schemas/${name}"`), name).toBe(true);
    }
  });

  it('has every header of a response once', () => {
    const text = JSON.stringify(paths);
    for (const name of Object.keys(components.headers)) expect(text).toContain(`"#/components/headers/${name}"`);
    expect(text.match(/"headers":\{"[^"]+":\{"(?!\$ref)/g)).toBeNull();
    expect(components.headers['X-Should-Retry']).toMatchObject({ schema: { type: 'boolean' } });
  });

  it('says that an optional field of a request may be null', () => {
    const { properties } = components.schemas['DocumentInput'] ?? {};
    expect(properties?.['title']?.['anyOf']).toContainEqual({ type: 'null' });
    expect(components.schemas['ChatMessage']?.properties?.['role']).toHaveProperty('$ref');
  });
});

describe('named schemas', () => {
  const Colour = named('Colour', Type.Object({ red: Type.Integer() }, { description: 'A colour.' }));
  const response = (schema: object) => ({ responses: { 200: { content: { 'application/json': { schema } } } } });

  it('become components, and a use may say what it is for', () => {
    const schema = Type.Object({ front: Colour, back: usedAs(Colour, 'Behind the text.') });
    const given = { openapi: '3.1.0', paths: { '/x': { get: response(schema) } } };
    const before = structuredClone(given);
    const made = withComponents(given);
    expect(JSON.parse(JSON.stringify(given))).toEqual(before);
    expect(made).toMatchObject({
      components: { schemas: { Colour: { type: 'object', description: 'A colour.' } } },
      paths: {
        '/x': {
          get: response({
            properties: {
              front: { $ref: '#/components/schemas/Colour' },
              back: { $ref: '#/components/schemas/Colour', description: 'Behind the text.' },
            },
          }),
        },
      },
    });
    expect(withoutReferences(made)).toMatchObject({
      paths: { '/x': { get: response({ properties: { back: { type: 'object', description: 'Behind the text.' } } }) } },
    });
  });

  it('may not share a name', () => {
    const Other = named('Colour', Type.Object({ green: Type.Integer() }));
    const given = { paths: { '/x': { get: response(Type.Object({ one: Colour, two: Other })) } } };
    expect(() => withComponents(given)).toThrow('two schemas have the name Colour');
  });
});
