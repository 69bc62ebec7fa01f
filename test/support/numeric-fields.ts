/**
 * Every number that a client can send, found by walking the OpenAPI document: a field that is added to a route is
 * covered by itself. Knows JSON Schema and the least that each route needs.
 */
import fc from 'fast-check';
import { withoutReferences } from '../../src/server/openapi-components.js';
import { renderOpenApi } from '../../src/server/openapi-document.js';

interface Schema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  patternProperties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: Schema[];
}

export interface NumericField {
  /** `POST /v1/segment segmentation.max_tokens`. */
  name: string;
  method: string;
  path: string;
  place: 'body' | 'query';
  schema: Schema;
  /** Of the whole body; undefined for a query. */
  bodySchema?: Schema;
  /** A request with the number in the field and nothing else that is not needed. */
  request(value: number): { url: string; body?: object };
}

/** The least that a route needs, where its schema alone does not say. */
const LEAST: Record<string, object> = {
  '/v1/chat/completions': { messages: [{ role: 'user', content: 'Why?' }], documents: [{ text: 'One is. Two is.' }] },
  '/v1/completions': { prompt: 'Why?' },
  '/v1/responses': { input: 'Why?', documents: ['One is. Two is.'] },
  '/tokenize': { messages: [{ role: 'user', content: 'Why?' }], documents: ['One is. Two is.'] },
  '/detokenize': { tokens: [1] },
  '/v1/documents': { text: 'One is here. Two is there.' },
  '/v1/segment': { text: 'One is here. Two is there.' },
};

const EXTREMES = [
  0,
  -1,
  0.5,
  1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  1e308,
  -1e308,
  5e-324,
];

/** Numbers for a field: the largest, the smallest, fractions, its own bounds and what is next to them. */
export function numbersFor({ schema }: NumericField): fc.Arbitrary<number> {
  const bounds = [schema.minimum, schema.exclusiveMinimum, schema.maximum].filter((bound) => bound !== undefined);
  return fc.oneof(
    fc.constantFrom(...EXTREMES, ...bounds.flatMap((bound) => [bound - 1, bound, bound + 1])),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.maxSafeInteger(),
  );
}

export async function numericFields(): Promise<NumericField[]> {
  const { paths } = withoutReferences(JSON.parse(await renderOpenApi()));
  const fields: NumericField[] = [];
  for (const [path, methods] of Object.entries<Record<string, object>>(paths)) {
    for (const [lower, operation] of Object.entries(methods)) {
      const method = lower.toUpperCase();
      const { requestBody, parameters = [] } = operation as {
        requestBody?: { content: Record<string, { schema: Schema }> };
        parameters?: { name: string; in: string; schema: Schema }[];
      };
      const bodySchema = requestBody?.content['application/json']?.schema;
      if (bodySchema) {
        for (const { name, schema, put } of numbersIn(bodySchema)) {
          fields.push({
            name: `${method} ${path} ${name}`,
            ...{ method, path, place: 'body', schema, bodySchema },
            request: (value) => {
              // The least body is sound; only the field under test, whole, is taken from the schema's sample.
              const sampled = put(value) as Record<string, unknown>;
              const key = name.split(/[.[{]/)[0] ?? '';
              return { url: path, body: { ...sampled, ...LEAST[path], [key]: sampled[key] } };
            },
          });
        }
      }
      for (const { name, in: place, schema } of parameters) {
        if (!isNumber(schema)) continue;
        if (place !== 'query') throw new Error(`no test sends the number ${name} in the ${place}`);
        fields.push({
          name: `${method} ${path} ?${name}`,
          ...{ method, path, place, schema },
          request: (value) => ({ url: `${path}?${name}=${value}` }),
        });
      }
    }
  }
  return fields;
}

interface Found {
  name: string;
  schema: Schema;
  /** A value of the schema walked, with a number in this field. */
  put(value: number): unknown;
}

/** Every number in a schema, with how to put a value there. */
function numbersIn(schema: Schema): Found[] {
  if (isNumber(schema)) return [{ name: '', schema, put: (value) => value }];
  if (schema.anyOf) return schema.anyOf.flatMap(numbersIn);
  if (schema.items) {
    return numbersIn(schema.items).map(({ name, put, ...rest }) => ({
      ...rest,
      name: `[]${dotted(name)}`,
      put: (value) => [put(value)],
    }));
  }
  const values = Object.values(schema.patternProperties ?? {})[0] ?? schema.additionalProperties;
  if (typeof values === 'object') {
    const inside = numbersIn(values).map(({ name, put, ...rest }) => ({
      ...rest,
      name: `{}${dotted(name)}`,
      put: (value: number) => ({ 5: put(value) }),
    }));
    // The names of such a map are numbers too: token ids.
    const names = inside.map((found) => ({
      ...found,
      name: '{name}',
      put: (value: number) => ({ [String(value)]: 1 }),
    }));
    return [...inside, ...names];
  }
  return Object.entries(schema.properties ?? {}).flatMap(([key, field]) =>
    numbersIn(field).map(({ name, put, ...rest }) => ({
      ...rest,
      name: `${key}${dotted(name)}`,
      put: (value: number) => ({ ...least(schema), [key]: put(value) }),
    })),
  );
}

/** What an object must have. */
function least({ properties = {}, required = [] }: Schema): object {
  return Object.fromEntries(required.map((key) => [key, sample(properties[key] ?? {})]));
}

function sample(schema: Schema): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return sample(schema.anyOf[0] ?? {});
  if (schema.type === 'string') return 'x';
  if (schema.type === 'array') return [sample(schema.items ?? {})];
  if (schema.type === 'boolean') return true;
  return isNumber(schema) ? (schema.minimum ?? 1) : least(schema);
}

const isNumber = ({ type }: Schema) => type === 'number' || type === 'integer';
const dotted = (name: string) => (name === '' || name.startsWith('[') || name.startsWith('{') ? name : `.${name}`);
