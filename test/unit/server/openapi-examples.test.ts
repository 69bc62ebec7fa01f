/** Every body in the OpenAPI document has an example, and every example fits its schema: also the JSON inside an event. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { renderOpenApi } from '../../../src/server/openapi-document.js';

interface Body {
  schema: object;
  example?: unknown;
}
interface Operation {
  requestBody?: { content: Record<string, Body> };
  responses: Record<string, { content?: Record<string, Body> }>;
}
type Schema = Record<string, unknown>;

const document = JSON.parse(await renderOpenApi()) as { paths: Record<string, Record<string, Operation>> };
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema({ ...document, $id: 'openapi' });

const bodies = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).flatMap(([method, { requestBody, responses }]) => {
    const name = `${method.toUpperCase()} ${path}`;
    const answers = Object.entries(responses).map(([status, { content }]): [string, typeof content] => [
      status,
      content,
    ]);
    return [['request', requestBody?.content] as const, ...answers].flatMap(([part, content = {}]) =>
      Object.entries(content).map(([type, body]) => ({ name: `${name} ${part} ${type}`, body })),
    );
  }),
);

/** The schema of a body, with its references into the document. */
function validator(schema: object) {
  return ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/')));
}

/** The schemas that the alternatives of an event give for the JSON in `data`. */
function contentSchemas(schema: Schema): object[] {
  const { $ref: reference, anyOf, properties } = schema;
  if (typeof reference === 'string') return contentSchemas(resolved(reference));
  if (Array.isArray(anyOf)) return anyOf.flatMap(contentSchemas);
  const content = (properties as Record<string, Schema> | undefined)?.['data']?.['contentSchema'];
  return typeof content === 'object' && content !== null ? [content] : [];
}

function resolved(reference: string): Schema {
  const steps = reference.slice(2).split('/');
  return steps.reduce((at: unknown, step) => (at as Schema)[step], document) as Schema;
}

describe('the OpenAPI document', () => {
  it.each(bodies)('has a true example: $name', ({ body }) => {
    const { schema, example } = body;
    expect(example).toBeDefined();
    const validate = validator(schema);
    expect(validate(example), JSON.stringify(validate.errors)).toBe(true);
    const events = contentSchemas(schema as Schema);
    if (events.length === 0) return;
    const data = JSON.parse((example as { data: string }).data);
    expect(events.some((content) => validator(content)(data))).toBe(true);
  });

  it('has schemas that refuse something', () => {
    const refused = bodies.filter(({ body }) => !validator(body.schema)(7));
    expect(refused).toHaveLength(bodies.length);
  });
});
