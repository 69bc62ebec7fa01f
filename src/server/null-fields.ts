/**
 * Drops `null` where a schema says that something may be absent: clients send it for "not given", at any depth. What a
 * schema leaves open (a JSON Schema, arguments of a tool) stays as it is: there, null is a value. A value that fits its
 * schema has nothing to drop: no field that may be absent takes null by itself. Knows JSON Schema.
 */
import type { TSchema } from 'typebox';

interface Schema {
  type?: string | readonly string[];
  properties?: Record<string, Schema>;
  required?: readonly string[];
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: readonly Schema[];
}

/** Changes a value in place. */
type Drop = (value: unknown) => void;

/**
 * @returns undefined if no value of the schema can hold a field that may be absent: then nothing must be walked
 * @throws TypeError if a field that may be absent takes null by itself
 */
export function nullDropper(schema: TSchema): Drop | undefined {
  return dropper(schema as Schema);
}

function dropper({ properties, required = [], additionalProperties, items, anyOf }: Schema): Drop | undefined {
  const drops: Drop[] = [];
  if (properties) drops.push(ofProperties(properties, required));
  if (isTyped(additionalProperties)) drops.push(ofMap(dropper(additionalProperties), properties ?? {}));
  const element = items && dropper(items);
  if (element) drops.push((value) => Array.isArray(value) && value.forEach(element));
  for (const alternative of anyOf ?? []) drops.push(...[dropper(alternative)].filter((drop) => drop !== undefined));
  if (drops.length < 2) return drops[0];
  return (value) => {
    for (const drop of drops) drop(value);
  };
}

function ofProperties(properties: Record<string, Schema>, required: readonly string[]): Drop {
  const mixed = Object.keys(properties).find((key) => !required.includes(key) && takesNull(properties[key] ?? {}));
  if (mixed !== undefined) throw new TypeError(`the field ${mixed} may be absent: null means that already`);
  const fields = Object.entries(properties).map(([key, schema]) => ({
    key,
    optional: !required.includes(key),
    inside: dropper(schema),
  }));
  return (value) => {
    if (!isObject(value)) return;
    for (const { key, optional, inside } of fields) {
      if (optional && value[key] === null) delete value[key];
      else if (inside && key in value) inside(value[key]);
    }
  };
}

/** An entry of a map may be absent. */
function ofMap(inside: Drop | undefined, properties: Record<string, Schema>): Drop {
  return (value) => {
    if (!isObject(value)) return;
    for (const key of Object.keys(value)) {
      if (key in properties) continue;
      if (value[key] === null) delete value[key];
      else inside?.(value[key]);
    }
  };
}

function takesNull(schema: Schema): boolean {
  const { type, anyOf } = schema;
  if (anyOf) return anyOf.some(takesNull);
  if (type === undefined) return !('enum' in schema || 'const' in schema);
  return [type].flat().includes('null');
}

function isTyped(schema: Schema | boolean | undefined): schema is Schema {
  return typeof schema === 'object' && Object.keys(schema).length > 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
