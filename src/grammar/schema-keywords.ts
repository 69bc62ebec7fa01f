/**
 * What a schema's keywords mean side by side. xgrammar obeys one and drops the others: `pattern` beside `maxLength`, `type`
 * beside `enum`, anything beside `anyOf`. Here such pairs become one keyword where they can, and are refused where not.
 * Says the type where only its keywords stand. Knows one level of a schema; `json-schema.ts` walks.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

interface Settled {
  /** The keywords as they are to be read. */
  keywords: JsonObject;
  /** Why they cannot be enforced: the place below the schema, and what is wrong there. */
  refusal?: { at: string; what: string };
}

const TYPES = new Set(['string', 'integer', 'number', 'boolean', 'null', 'array', 'object']);
/** Keywords that say all about a value. */
const WHOLE = ['$ref', 'anyOf', 'oneOf', 'allOf', 'enum', 'const'];
const VALUES = ['enum', 'const'];
const LENGTHS = ['minLength', 'maxLength'];
const OF_TYPE: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'patternProperties', 'additionalProperties', 'required', 'minProperties', 'maxProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['pattern', 'format', ...LENGTHS],
};

const LOCAL_PART = "[a-zA-Z0-9_!#$%&'*+/=?^`{|}~-]+";
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?';
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const POINTER = '(?:/(?:[^/~]|~[01])*)*';
/** Formats that xgrammar writes without JSON's escapes, or with zeros in front of numbers. */
export const FORMAT_PATTERNS: Readonly<Record<string, string>> = {
  email: `${LOCAL_PART}(?:\\.${LOCAL_PART})*@${LABEL}(?:\\.${LABEL})*`,
  ipv4: `${OCTET}(?:\\.${OCTET}){3}`,
  'json-pointer': POINTER,
  'relative-json-pointer': `(?:0|[1-9][0-9]*)(?:#|${POINTER})`,
};
/** Formats that xgrammar enforces; any other is a remark. */
const FORMATS = new Set([
  ...Object.keys(FORMAT_PATTERNS),
  ...['date', 'time', 'date-time', 'duration', 'hostname', 'ipv6', 'uri', 'uri-reference', 'uri-template', 'uuid'],
]);

/** @param restricting names of the keywords that restrict values */
export function settled(schema: JsonObject, restricting: ReadonlySet<string>): Settled {
  const keywords: Record<string, Json> = { ...schema };
  const refused = (at: string, what: string): Settled => ({ keywords, refusal: { at: `/${at}`, what } });
  const { type, format, required } = schema;
  const types = [type ?? []].flat();
  if (type !== undefined && (types.length === 0 || !types.every((each) => TYPES.has(String(each)))))
    return refused('type', `must be one of ${[...TYPES].join(', ')}, or a list of them`);
  if (required !== undefined && !(Array.isArray(required) && required.every((each) => typeof each === 'string')))
    return refused('required', 'must be a list of strings');
  if (format !== undefined && typeof format !== 'string') return refused('format', 'must be a string');
  if (format !== undefined && !FORMATS.has(format)) delete keywords['format'];

  const whole = WHOLE.find((name) => name in keywords);
  if (whole !== undefined && sayType(keywords[whole] as Json, types)) delete keywords['type'];
  const others = Object.keys(keywords).filter((name) => name !== whole && (restricting.has(name) || name === '$ref'));
  if (whole !== undefined) {
    const other = others.find((name) => name !== 'type' || !VALUES.includes(whole));
    if (other !== undefined) return refused(whole, `stands beside ${other}, which would not be enforced: join them`);
    return withType(keywords, types, refused);
  }
  const string = ['pattern', 'format'].filter((name) => name in keywords);
  if (LENGTHS.some((name) => name in keywords)) string.push('minLength or maxLength');
  if (string.length > 1) return refused(string[0] as string, `stands beside ${string[1]}: only one can be enforced`);
  if (typeof format === 'string' && format in FORMAT_PATTERNS) {
    delete keywords['format'];
    keywords['pattern'] = FORMAT_PATTERNS[format] as string;
  }
  if (type === undefined) {
    const meant = Object.keys(OF_TYPE).filter((name) => OF_TYPE[name]?.some((keyword) => keyword in keywords));
    if (meant.length > 1) return refused('type', `is missing, and there are keywords for ${meant.join(' and ')}`);
    if (meant[0] !== undefined) keywords['type'] = meant[0];
  }
  // A tuple has no further items in any case.
  if ('prefixItems' in keywords && keywords['items'] === false) delete keywords['items'];
  return objectSettled(keywords, refused);
}

/** Whether each alternative says a type itself, one of those beside it. */
function sayType(alternatives: Json, types: readonly Json[]): boolean {
  return (
    Array.isArray(alternatives) &&
    alternatives.every(
      (each) => isObject(each) && 'type' in each && [each['type'] ?? []].flat().every((type) => types.includes(type)),
    )
  );
}

/** Values of other types than the schema's are left out. */
function withType(keywords: Record<string, Json>, types: readonly Json[], refused: Refuse): Settled {
  if (types.length === 0) return { keywords };
  const fits = (value: Json) => types.some((type) => isOfType(value, String(type)));
  const none = 'holds no value of the type';
  delete keywords['type'];
  if ('const' in keywords && !fits(keywords['const'] as Json)) return refused('const', none);
  const listed = keywords['enum'];
  if (!Array.isArray(listed)) return { keywords };
  keywords['enum'] = listed.filter(fits);
  return listed.length > 0 && !listed.some(fits) ? refused('enum', none) : { keywords };
}

/** Required names become properties, which is how xgrammar writes them. */
function objectSettled(keywords: Record<string, Json>, refused: Refuse): Settled {
  const { properties, patternProperties, additionalProperties, required } = keywords;
  const isOpen = additionalProperties !== undefined && additionalProperties !== false;
  if (patternProperties !== undefined) {
    const count = isObject(patternProperties) ? Object.keys(patternProperties).length : 1;
    // A name may fit several of them, and would have to fit all.
    if (count > 1 || properties !== undefined || required !== undefined || isOpen)
      return refused('patternProperties', 'is supported alone, with one pattern');
  }
  const known = isObject(properties) ? properties : {};
  const missing = (Array.isArray(required) ? required : []).map(String).filter((name) => !Object.hasOwn(known, name));
  if (missing.length === 0) return { keywords };
  if (additionalProperties === false)
    return refused('required', `names ${JSON.stringify(missing[0])}, which is none of the properties`);
  const rest = additionalProperties === undefined || additionalProperties === true ? {} : additionalProperties;
  if (properties === undefined) keywords['additionalProperties'] ??= true;
  keywords['properties'] = Object.fromEntries([
    ...Object.entries(known),
    ...missing.map((name) => [name, rest] as const),
  ]);
  return { keywords };
}

type Refuse = (at: string, what: string) => Settled;

function isOfType(value: Json, type: string): boolean {
  if (value === null) return type === 'null';
  if (Array.isArray(value)) return type === 'array';
  if (typeof value === 'number') return type === 'number' || (type === 'integer' && Number.isInteger(value));
  return typeof value === type;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
