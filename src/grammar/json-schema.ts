/**
 * Which JSON Schemas can be enforced. What cannot is refused by name and place, so that no answer breaks its schema
 * silently; what says nothing about values (titles, defaults) is left out.
 * Makes the schema mean what it says to xgrammar: an object without `properties` may have any, an array without `items`
 * too. Objects with `properties` have no others, unless `additionalProperties` says so. Knows JSON Schema 2020-12.
 */
import { BlockstitchError } from '../errors.js';
import { rangeMark } from './integer-range.js';
import { PatternNotEnforceable, patternOfJsonText } from './json-pattern.js';
import { isObject, type Json, type JsonObject, settled } from './schema-keywords.js';

/** Keywords that restrict values in ways that are not enforced. */
const UNSUPPORTED = new Set([
  '$anchor',
  '$dynamicAnchor',
  '$dynamicRef',
  '$recursiveRef',
  'additionalItems',
  'contains',
  'contentEncoding',
  'contentMediaType',
  'contentSchema',
  'dependencies',
  'dependentRequired',
  'dependentSchemas',
  'else',
  'if',
  'maxContains',
  'minContains',
  'multipleOf',
  'not',
  'nullable',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
  'uniqueItems',
]);
const KEPT = new Set([
  'additionalProperties',
  'allOf',
  'anyOf',
  'const',
  'enum',
  'exclusiveMaximum',
  'exclusiveMinimum',
  'format',
  'items',
  'maxItems',
  'maxLength',
  'maxProperties',
  'maximum',
  'minItems',
  'minLength',
  'minProperties',
  'minimum',
  'oneOf',
  'pattern',
  'patternProperties',
  'prefixItems',
  'properties',
  'required',
  'type',
]);
const BOUNDS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'];
/** Values that say nothing: they may be given to keywords that are not supported. */
const NEUTRAL: Readonly<Record<string, Json>> = { uniqueItems: false, nullable: false };
/** Depth of a schema; a deeper one would take the stack. */
const MAX_DEPTH = 64;
/** Repetitions that a grammar can count. */
const MAX_COUNT = 10_000;

/**
 * @param schema the client's
 * @param param  the request's field, for errors
 * @returns the schema as xgrammar takes it
 * @throws BlockstitchError `invalid_request` naming the keyword and where it stands
 */
export function enforceableSchema(schema: unknown, param: string): JsonObject {
  if (!isObject(schema)) throw refused(param, '', 'must be an object');
  const walk = new Walk(param, schema);
  const made = walk.schema(schema, '', 0);
  return isObject(made) ? made : { anyOf: [made] };
}

class Walk {
  readonly #param: string;
  readonly #root: JsonObject;

  constructor(param: string, root: JsonObject) {
    this.#param = param;
    this.#root = root;
  }

  schema(schema: Json | undefined, at: string, depth: number): Json {
    if (schema === true) return {};
    if (schema === false) throw this.#refused(at, 'is false: no value would fit');
    if (!isObject(schema)) throw this.#refused(at, 'must be an object or true');
    if (depth > MAX_DEPTH) throw this.#refused(at, `lies deeper than ${MAX_DEPTH} levels`);
    this.#checkKeywords(schema, at);
    const made: Record<string, Json> = {};
    const { keywords, refusal } = settled(schema, KEPT);
    if (refusal !== undefined) throw this.#refused(`${at}${refusal.at}`, refusal.what);
    for (const [name, value] of Object.entries(keywords)) {
      if (name === '$defs' || name === 'definitions') made[name] = this.#map(value, `${at}/${name}`, depth);
      else if (name === '$ref') made[name] = this.#reference(value, `${at}/$ref`);
      else if (KEPT.has(name)) made[name] = this.#keyword(name, value, `${at}/${name}`, depth);
    }
    return BOUNDS.some((name) => name in made) ? this.#range(made, at) : withDefaults(made);
  }

  #keyword(name: string, value: Json, at: string, depth: number): Json {
    switch (name) {
      case 'properties':
        return this.#map(value, at, depth);
      case 'patternProperties':
        return Object.fromEntries(
          Object.entries(this.#map(value, at, depth)).map(([pattern, each]) => [this.#pattern(pattern, at), each]),
        );
      case 'items':
        return this.schema(value, at, depth + 1);
      case 'additionalProperties':
        return typeof value === 'boolean' ? value : this.schema(value, at, depth + 1);
      case 'prefixItems':
      case 'anyOf':
        return this.#list(value, at, depth);
      case 'oneOf':
        this.#checkDisjoint(this.#array(value, at), at);
        return this.#list(value, at, depth);
      case 'allOf':
        if (this.#array(value, at).length > 1) throw this.#refused(at, 'has more than one schema: join them in one');
        return this.#list(value, at, depth);
      case 'pattern':
        return this.#pattern(value, at);
      case 'enum':
        if (this.#array(value, at).length === 0) throw this.#refused(at, 'is empty: no value would fit');
        for (const each of this.#array(value, at)) this.#checkConstant(each, at);
        return value;
      case 'const':
        this.#checkConstant(value, at);
        return value;
      case 'minLength':
      case 'maxLength':
      case 'minItems':
      case 'maxItems':
      case 'minProperties':
      case 'maxProperties':
        if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_COUNT) {
          throw this.#refused(at, `must be a whole number from 0 to ${MAX_COUNT}`);
        }
        return value;
      default:
        return value;
    }
  }

  /** A whole number between bounds. */
  #range(schema: JsonObject, at: string): JsonObject {
    const bound = (names: readonly [string, string], step: number, nearest: (...values: number[]) => number) => {
      const [open, exclusive] = names.map((name) => schema[name]);
      const values = [open, typeof exclusive === 'number' ? exclusive + step : undefined];
      const given = values.filter((value) => typeof value === 'number');
      return given.length === 0 ? undefined : nearest(...given);
    };
    const from = bound(['minimum', 'exclusiveMinimum'], 1, Math.max);
    const to = bound(['maximum', 'exclusiveMaximum'], -1, Math.min);
    if (from !== undefined && to !== undefined && from > to) throw this.#refused(at, 'has bounds that no number fits');
    return rangeMark(from, to);
  }

  #checkKeywords(schema: JsonObject, at: string): void {
    for (const [name, value] of Object.entries(schema)) {
      if (UNSUPPORTED.has(name) && NEUTRAL[name] !== value) throw this.#refused(`${at}/${name}`, 'is not supported');
    }
    const types = [schema['type'] ?? []].flat();
    const bound = BOUNDS.find((name) => name in schema);
    if (bound !== undefined && !(types.length === 1 && types[0] === 'integer')) {
      throw this.#refused(`${at}/${bound}`, 'is supported for the type integer only');
    }
    if (bound !== undefined && !BOUNDS.every((name) => Number.isSafeInteger(schema[name] ?? 0))) {
      throw this.#refused(`${at}/${bound}`, 'must be a whole number');
    }
  }

  #checkConstant(value: Json, at: string): void {
    if (JSON.stringify(value).includes('blockstitch integer from'))
      throw this.#refused(at, 'holds words of the server');
  }

  /** xgrammar takes alternatives as `anyOf`. With `oneOf` a value must fit exactly one, so no two may share a value. */
  #checkDisjoint(alternatives: readonly Json[], at: string): void {
    const seen = alternatives.map((each, index) => this.#resolved(each, `${at}/${index}`));
    for (const [index, one] of seen.entries()) {
      for (const other of seen.slice(index + 1)) {
        if (!areDisjoint(one, other, (each) => this.#resolved(each, at))) {
          throw this.#refused(at, 'has alternatives that may fit the same value: use anyOf');
        }
      }
    }
  }

  /** A schema behind its reference. */
  #resolved(schema: Json, at: string): JsonObject {
    let found: Json = schema;
    for (let hops = 0; isObject(found) && typeof found['$ref'] === 'string'; hops++) {
      if (hops > MAX_DEPTH) throw this.#refused(at, 'refers to itself');
      found = this.#target(found['$ref'], at);
    }
    return isObject(found) ? found : {};
  }

  #reference(value: Json, at: string): Json {
    if (typeof value !== 'string' || !/^#(\/|$)/.test(value))
      throw this.#refused(at, 'must point into this schema (#/...)');
    this.#target(value, at);
    return value;
  }

  #target(reference: string, at: string): Json {
    let found: Json = this.#root;
    for (const part of reference.split('/').slice(1)) {
      const name = decoded(part)?.replaceAll('~1', '/').replaceAll('~0', '~') ?? '';
      if (!isObject(found) || !Object.hasOwn(found, name)) throw this.#refused(at, `points to nothing: ${reference}`);
      found = found[name] as Json;
    }
    return found;
  }

  /** A pattern of values, as one of JSON text. */
  #pattern(pattern: Json, at: string): string {
    if (typeof pattern !== 'string') throw this.#refused(at, 'must be a string');
    try {
      new RegExp(pattern, 'u');
    } catch {
      throw this.#refused(at, 'is not a regular expression');
    }
    try {
      return patternOfJsonText(pattern);
    } catch (error) {
      if (error instanceof PatternNotEnforceable) throw this.#refused(at, error.message);
      throw error;
    }
  }

  #map(value: Json, at: string, depth: number): JsonObject {
    const entries = Object.entries(this.#object(value, at));
    return Object.fromEntries(entries.map(([name, each]) => [name, this.schema(each, `${at}/${name}`, depth + 1)]));
  }

  #list(value: Json, at: string, depth: number): Json {
    const list = this.#array(value, at);
    if (list.length === 0) throw this.#refused(at, 'is empty');
    return list.map((each, index) => this.schema(each, `${at}/${index}`, depth + 1));
  }

  #object(value: Json, at: string): JsonObject {
    if (!isObject(value)) throw this.#refused(at, 'must be an object');
    return value;
  }

  #array(value: Json, at: string): readonly Json[] {
    if (!Array.isArray(value)) throw this.#refused(at, 'must be a list');
    return value;
  }

  #refused(at: string, what: string): BlockstitchError {
    return refused(this.#param, at, what);
  }
}

/** What JSON Schema allows where nothing is said. */
function withDefaults(schema: Record<string, Json>): Json {
  const types = [schema['type'] ?? []].flat();
  const saysNames = ['properties', 'patternProperties', 'additionalProperties'].some((name) => name in schema);
  if (types.includes('object') && !saysNames) schema['additionalProperties'] = true;
  if (types.includes('array') && !('items' in schema) && !('prefixItems' in schema)) schema['items'] = {};
  return schema;
}

const KINDS = { integer: 'number', number: 'number' } as Readonly<Record<string, string>>;

/** Whether no value fits both: other types, or another constant in a property that both require. */
function areDisjoint(one: JsonObject, other: JsonObject, resolve: (schema: Json) => JsonObject): boolean {
  const kinds = (schema: JsonObject) =>
    new Set([schema['type'] ?? []].flat().map((type) => KINDS[String(type)] ?? type));
  const values = (schema: JsonObject): Json[] | undefined => {
    if ('const' in schema) return [schema['const'] as Json];
    return Array.isArray(schema['enum']) ? [...schema['enum']] : undefined;
  };
  const apart = (left: JsonObject, right: JsonObject) => {
    const [mine, theirs] = [values(left), values(right)];
    if (mine === undefined || theirs === undefined) return false;
    const known = new Set(mine.map((value) => JSON.stringify(value)));
    return !theirs.some((value) => known.has(JSON.stringify(value)));
  };
  if (apart(one, other)) return true;
  const [mine, theirs] = [kinds(one), kinds(other)];
  if (mine.size > 0 && theirs.size > 0 && ![...mine].some((kind) => theirs.has(kind))) return true;
  const required = (schema: JsonObject) => new Set(Array.isArray(schema['required']) ? schema['required'] : []);
  const property = (schema: JsonObject, name: string) => {
    const properties = schema['properties'];
    return isObject(properties) && Object.hasOwn(properties, name) ? resolve(properties[name] as Json) : {};
  };
  const both = [...required(one)].filter((name) => required(other).has(name));
  return both.some((name) => apart(property(one, String(name)), property(other, String(name))));
}

/** A part of a reference; undefined if its escapes are none. */
function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function refused(param: string, at: string, what: string): BlockstitchError {
  const reason = `The schema in \`${param}\` cannot be enforced: ${at === '' ? 'it' : at} ${what}.`;
  return new BlockstitchError('invalid_request', { reason }, { param });
}
