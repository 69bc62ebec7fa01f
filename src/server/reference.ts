/**
 * Makes the reference parts of docs/ as Markdown tables from what the program itself uses: routes with their fields,
 * errors, settings, metrics. They stand between marks in hand-written pages. Knows tables, no prose.
 */
import { homedir } from 'node:os';
import { PACKAGE_DIR, SETTINGS, shownDefault } from '../config.js';
import { ERRORS, type ErrorEntry } from '../errors.js';
import type { Setting } from '../setting-kinds.js';
import { ServerMetrics } from './metrics/server-metrics.js';
import { withoutReferences } from './openapi-components.js';

/** The part of an OpenAPI document that is read here. */
export interface ApiDocument {
  paths: Record<string, Record<string, Operation>>;
}
interface Operation {
  summary?: string;
  description?: string;
  parameters?: { name: string; in: string; required?: boolean; schema: Schema; description?: string }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Schema }> }>;
}
interface Schema {
  type?: string | string[];
  description?: string;
  enum?: string[];
  const?: unknown;
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  /** Of the JSON in a text. */
  contentSchema?: Schema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  maxLength?: number;
}

/** The generated parts by the name in their mark: `<!-- generated: errors -->` ... `<!-- end -->`. */
export async function referenceParts(document: ApiDocument): Promise<Record<string, string>> {
  return { routes: routes(document), errors: errors(), settings: settings(), metrics: await metrics() };
}

/** The page with its generated parts made anew. @throws Error for a mark of no known part */
export function withReference(page: string, parts: Readonly<Record<string, string>>): string {
  return page.replace(/(<!-- generated: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, open: string, name: string, end) => {
    const part = parts[name];
    if (part === undefined) throw new Error(`there is no generated part ${name}`);
    return `${open}${part}\n${end}`;
  });
}

function errors(): string {
  const rows = Object.entries<ErrorEntry>(ERRORS).map(
    ([code, { status, type, retryable, message, outside, remedy }]) => [
      `\`${code}\``,
      String(status),
      `\`${type}\``,
      retryable ? 'yes' : 'no',
      outside ?? message,
      remedy,
    ],
  );
  return table(['code', 'status', 'type', 'retry', 'message', 'what to do'], rows);
}

function settings(): string {
  const rows = Object.values<Setting>(SETTINGS).map((setting) => {
    const choices = setting.kind === 'choice' ? ` (${setting.choices.join(', ')})` : '';
    return [
      setting.flag === null ? '' : `\`${setting.flag}\``,
      `\`${setting.env}\``,
      shownDefault(setting).replace(PACKAGE_DIR, '').replace(homedir(), '~'),
      `${setting.help}${choices}`,
    ];
  });
  return table(['flag', 'environment', 'default', 'what it sets'], rows);
}

async function metrics(): Promise<string> {
  const all = await new ServerMetrics('reference').registry.getMetricsAsJSON();
  const rows = all
    .filter(({ name }) => name.startsWith('blockstitch:'))
    .map(({ name, type, help }) => [`\`${name}\``, String(type), help]);
  return table(['metric', 'type', 'what it counts'], rows);
}

function routes(document: ApiDocument): string {
  const { paths } = withoutReferences(document);
  const parts: string[] = [];
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) parts.push(route(method, path, operation));
  }
  return parts.join('\n\n');
}

function route(method: string, path: string, { summary, description, ...operation }: Operation): string {
  const parts = [`### ${method.toUpperCase()} ${path}`, `${summary ?? ''}.${description ? ` ${description}` : ''}`];
  const parameters = (operation.parameters ?? []).map(
    ({ name, in: place, required = false, schema, description: own }) =>
      row(name, schema, required, `In the ${place}. ${own ?? schema.description ?? ''}`),
  );
  if (parameters.length > 0) parts.push(table(FIELD_HEAD, parameters));
  const body = operation.requestBody?.content['application/json']?.schema;
  if (body) parts.push('Request:', table(FIELD_HEAD, fields(withoutNull(body))));
  for (const [status, { description: what, content = {} }] of Object.entries(operation.responses)) {
    if (Number(status) >= 400) continue;
    for (const [type, { schema }] of Object.entries(content)) {
      parts.push(`${status}, \`${type}\`: ${what}`);
      for (const form of schema.anyOf ?? [schema]) {
        const rows = fields(form);
        if (form !== schema) parts.push(`An event. ${form.description ?? ''}`);
        if (rows.length > 0) parts.push(table(FIELD_HEAD, rows));
      }
    }
  }
  const refusals = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
  if (refusals.length > 0) {
    parts.push(`Errors: ${refusals.map(([status, { description: codes }]) => `${status} ${codes}`).join('; ')}.`);
  }
  return parts.join('\n\n');
}

/** In a request, every field that may be absent may be null: the tables do not say it each time. */
function withoutNull(schema: Schema): Schema {
  const alternatives = schema.anyOf?.filter(({ type }) => type !== 'null').map(withoutNull);
  const inside = (parts: Record<string, Schema> | undefined) =>
    parts && Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, withoutNull(part)]));
  const { anyOf, ...rest } = schema;
  const properties = inside(schema.properties);
  return {
    ...(alternatives?.length === 1 ? alternatives[0] : alternatives ? { anyOf: alternatives } : {}),
    ...rest,
    ...(properties ? { properties } : {}),
    ...(schema.items ? { items: withoutNull(schema.items) } : {}),
    ...(typeof schema.additionalProperties === 'object'
      ? { additionalProperties: withoutNull(schema.additionalProperties) }
      : {}),
  };
}

const FIELD_HEAD = ['field', 'type', 'what it is'];

/** A row per field, nested ones with their path; `?` marks what may be absent. */
function fields(schema: Schema, path = ''): string[][] {
  const rows: string[][] = [];
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const own = path === '' ? name : `${path}.${name}`;
    rows.push(row(own, field, schema.required?.includes(name) ?? false, field.description ?? ''));
    rows.push(...nested(field, own));
  }
  return rows;
}

function nested(field: Schema, path: string): string[][] {
  if (field.properties) return fields(field, path);
  if (field.contentSchema) return fields(field.contentSchema, path);
  if (field.items) return nested(field.items, `${path}[]`);
  return (field.anyOf ?? []).flatMap((alternative) => nested(alternative, path));
}

function row(name: string, schema: Schema, required: boolean, description: string): string[] {
  return [`\`${name}\`${required ? '' : ' ?'}`, typeOf(schema), description.trim()];
}

function typeOf(schema: Schema): string {
  if (schema.contentSchema) return `JSON of ${typeOf(schema.contentSchema)}`;
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(' or ');
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  if (schema.items) return `list of ${typeOf(schema.items)}`;
  const values = Object.values(schema.patternProperties ?? {})[0] ?? schema.additionalProperties;
  if (schema.type === 'object' && typeof values === 'object') return `map to ${typeOf(values)}`;
  if (Array.isArray(schema.type)) return schema.type.join(' or ');
  return `${schema.type ?? 'any'}${bounds(schema)}`;
}

function bounds({ minimum, maximum, exclusiveMinimum, maxLength }: Schema): string {
  const parts = [
    ...(minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER ? [] : [`>= ${minimum}`]),
    ...(exclusiveMinimum === undefined ? [] : [`> ${exclusiveMinimum}`]),
    ...(maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? [] : [`<= ${maximum}`]),
    ...(maxLength === undefined ? [] : [`up to ${maxLength} characters`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
