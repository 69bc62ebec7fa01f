/**
 * Named schemas and shared headers of an OpenAPI document as its components. The routes' schemas hold each other whole;
 * here every schema with a name goes to `components.schemas` once, and its uses refer to it; so does a response's header,
 * by its own name, to `components.headers`. Optional fields of request bodies take `null`
 * (validator.ts drops it), so the document says that too. Knows OpenAPI documents; schemas/named.ts has the marks.
 */
import { isDeepStrictEqual } from 'node:util';
import { COMPONENT, USED_AS } from './schemas/named.js';

type Json = null | boolean | number | string | Json[] | JsonObject;
interface JsonObject {
  [key: string]: Json;
}

/** Keys whose values are data, not schemas. */
const DATA = new Set(['example', 'examples', 'enum', 'const', 'default', 'security', 'required']);
const PREFIX = '#/components/schemas/';
const HEADER_PREFIX = '#/components/headers/';

/**
 * @param document with every schema written out; it is not changed
 * @throws Error if two schemas or two headers have one name. A schema with optional fields cannot serve requests and answers both:
 *   in requests these fields may be null
 */
export function withComponents(document: object): object {
  const { components = {}, paths = {}, ...rest } = document as JsonObject;
  const { schemas = {}, ...others } = components as JsonObject;
  const found = new Map<string, Json>();
  const headers: JsonObject = {};
  const pathsWithRefs = hoistHeaders(hoist(paths, found, false), headers);
  for (const [name, schema] of Object.entries(schemas as JsonObject)) found.set(name, hoist(schema, found, false));
  const sorted = Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { ...rest, components: { ...others, headers, schemas: sorted }, paths: pathsWithRefs };
}

/** The document with every reference replaced by what it refers to: for whoever reads fields. */
export function withoutReferences<Document extends object>(document: Document): Document {
  const { components } = document as { components?: { schemas?: JsonObject; headers?: JsonObject } };
  const targets = new Map<string, Json>();
  for (const [name, schema] of Object.entries(components?.schemas ?? {})) targets.set(`${PREFIX}${name}`, schema);
  for (const [name, header] of Object.entries(components?.headers ?? {}))
    targets.set(`${HEADER_PREFIX}${name}`, header);
  return inlined(document as unknown as JsonObject, targets) as unknown as Document;
}

/** @param headers to which each header of a response goes, under its name */
function hoistHeaders(node: Json, headers: JsonObject): Json {
  if (Array.isArray(node)) return node.map((element) => hoistHeaders(element, headers));
  if (!isObject(node)) return node;
  const refer = (name: string, header: Json): JsonObject => {
    const known = headers[name];
    if (known !== undefined && !isDeepStrictEqual(known, header)) throw new Error(`two headers have the name ${name}`);
    headers[name] = header;
    return { $ref: `${HEADER_PREFIX}${name}` };
  };
  return Object.fromEntries(
    Object.entries(node).map(([key, part]): [string, Json] => {
      if (DATA.has(key)) return [key, part];
      if (key !== 'headers' || !isObject(part)) return [key, hoistHeaders(part, headers)];
      return [key, Object.fromEntries(Object.entries(part).map(([name, header]) => [name, refer(name, header)]))];
    }),
  );
}

function hoist(node: Json, found: Map<string, Json>, inRequest: boolean): Json {
  if (Array.isArray(node)) return node.map((element) => hoist(element, found, inRequest));
  if (typeof node !== 'object' || node === null) return node;
  const { [COMPONENT]: name, [USED_AS]: usedAs, ...schema } = node;
  const walked = Object.fromEntries(
    Object.entries(schema).map(([key, part]): [string, Json] => {
      if (DATA.has(key)) return [key, part];
      const request = inRequest || key === 'requestBody';
      if (key === 'properties') return [key, properties(node, found, request)];
      if (request && key === 'additionalProperties' && isObject(part) && Object.keys(part).length > 0)
        return [key, nullable(hoist(part, found, true), found)];
      return [key, hoist(part, found, request)];
    }),
  );
  if (typeof name !== 'string') return walked;
  const known = found.get(name);
  if (known !== undefined && !isDeepStrictEqual(known, walked)) {
    throw new Error(`two schemas have the name ${name}: ${JSON.stringify(known)} and ${JSON.stringify(walked)}`);
  }
  found.set(name, walked);
  const reference = { $ref: `${PREFIX}${name}` };
  return typeof usedAs === 'string' ? { ...reference, description: usedAs } : reference;
}

/** In a request, null is taken wherever a field may be absent. */
function properties({ properties, required = [] }: JsonObject, found: Map<string, Json>, request: boolean): JsonObject {
  const needed = required as Json[];
  return Object.fromEntries(
    Object.entries(properties as JsonObject).map(([key, schema]) => {
      const walked = hoist(schema, found, request);
      return [key, request && !needed.includes(key) ? nullable(walked, found) : walked];
    }),
  );
}

/** `schema` or null. What it means stands outside, where generators look for it. */
function nullable(schema: Json, found: Map<string, Json>): Json {
  const { description, deprecated, ...rest } = schema as JsonObject;
  const alternatives = Array.isArray(rest['anyOf']) && Object.keys(rest).length === 1 ? rest['anyOf'] : [rest];
  const takesNull = alternatives.some((each) => isObject(each) && each['type'] === 'null');
  const meaning = description ?? meaningOf(rest['$ref'], found);
  return {
    anyOf: takesNull ? alternatives : [...alternatives, { type: 'null' }],
    ...(meaning === undefined ? {} : { description: meaning }),
    ...(deprecated === undefined ? {} : { deprecated }),
  };
}

function meaningOf(reference: Json | undefined, found: Map<string, Json>): Json | undefined {
  if (typeof reference !== 'string') return undefined;
  const component = found.get(reference.slice(PREFIX.length));
  return component !== undefined && isObject(component) ? component['description'] : undefined;
}

/** @param targets what references may name, by the whole reference */
function inlined(node: Json, targets: ReadonlyMap<string, Json>): Json {
  if (Array.isArray(node)) return node.map((element) => inlined(element, targets));
  if (!isObject(node)) return node;
  const { $ref: reference, ...rest } = node;
  const others = Object.fromEntries(Object.entries(rest).map(([key, part]) => [key, inlined(part, targets)]));
  if (typeof reference !== 'string' || !/^#\/components\/(?:schemas|headers)\//.test(reference))
    return node['$ref'] ? node : others;
  const target = targets.get(reference);
  if (target === undefined) throw new Error(`${reference} refers to nothing`);
  return { ...(inlined(target, targets) as JsonObject), ...others };
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
