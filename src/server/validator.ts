/**
 * Validates requests against their TypeBox schemas, and describes what is wrong in bounded time: a list of a hundred
 * thousand wrong elements is described by one of them. In a body, `null` means "not given". Knows lists and findings; `validation-message.ts` has the words.
 */
import type { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { nullDropper } from './null-fields.js';

interface Finding {
  instancePath: string;
}
type Check = (value: unknown) => boolean;

/** Elements of a list that are described at once; longer lists are searched for the first that is wrong. */
const DESCRIBED_ELEMENTS = 256;

/** In place of the type provider's compiler, which describes every element before it picks eight findings. */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  const check: Check = (value) => validator.Check(value);
  const dropNulls = httpPart === 'body' ? nullDropper(schema) : undefined;
  return (given: unknown) => {
    const value = httpPart === 'body' ? given : readTexts(schema, given);
    if (check(value)) return { value };
    if (dropNulls) {
      dropNulls(value);
      if (check(value)) return { value };
    }
    return { error: describe(value, check, (part) => [...validator.Errors(part)]) } as unknown as ReturnType<
      ReturnType<typeof TypeBoxValidatorCompiler>
    >;
  };
};

/** Parameters and headers are text. Only text that is a number or a truth value is taken for one: `true` is not 1. */
function readTexts(schema: TSchema, given: unknown): unknown {
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  if (!isContainer(given)) return given;
  return Object.fromEntries(
    Object.entries(given).map(([name, text]) => [name, readText(properties[name]?.type, text)]),
  );
}

function readText(type: string | undefined, text: unknown): unknown {
  if (typeof text !== 'string') return text;
  if ((type === 'integer' || type === 'number') && NUMBER.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

/** As JSON writes them. */
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

function describe<F extends Finding>(value: unknown, check: Check, errorsOf: (part: unknown) => F[]): F[] {
  const start = firstElements(value, DESCRIBED_ELEMENTS);
  if (!check(start)) return errorsOf(start);
  // Halves of what is left: all of them together are as long as the list.
  const index = lastLeft(value, (from, to) => check(elementsBetween(value, from, to)));
  const alone = elementsBetween(value, index, index + 1);
  if (!check(alone)) {
    return errorsOf(alone).map((finding) => ({
      ...finding,
      instancePath: restoredPath(finding.instancePath, value, index),
    }));
  }
  // No place is wrong by itself: a list is too long, or holds another with the fault. As many elements as show it.
  const count = lastLeft(value, (_, to) => check(firstElements(value, to))) + 1;
  return errorsOf(firstElements(value, count));
}

/**
 * Halves the places behind the first ones until one is left.
 * @param isFine whether the places from `from` to before `to` are
 */
function lastLeft(value: unknown, isFine: (from: number, to: number) => boolean): number {
  let from = DESCRIBED_ELEMENTS;
  let end = longestList(value);
  while (end - from > 1) {
    const middle = (from + end) >> 1;
    if (isFine(from, middle)) from = middle;
    else end = middle;
  }
  return from;
}

function longestList(value: unknown): number {
  if (!isContainer(value)) return 0;
  const parts = Array.isArray(value) ? value : Object.values(value);
  const own = Array.isArray(value) ? value.length : 0;
  return parts.reduce((longest: number, part: unknown) => Math.max(longest, longestList(part)), own);
}

/** A copy in which no list has more than `count` elements. */
function firstElements(value: unknown, count: number): unknown {
  return mapLists(value, (list) => (list.length > count ? list.slice(0, count) : list));
}

/** A copy in which the lists that reach `from` hold their elements from there to before `to`. */
function elementsBetween(value: unknown, from: number, to: number): unknown {
  return mapLists(value, (list) => (list.length > from ? list.slice(from, to) : list));
}

function mapLists(value: unknown, change: (list: unknown[]) => unknown[]): unknown {
  if (Array.isArray(value)) {
    const list = change(value);
    // Lists of numbers are the long ones: they are not copied element by element.
    return list.some(isContainer) ? list.map((element) => mapLists(element, change)) : list;
  }
  if (!isContainer(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, mapLists(part, change)]));
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** A path in the copy that holds the element at `index` alone as a path in `value`. */
function restoredPath(path: string, value: unknown, index: number): string {
  let at = value;
  const parts = path.split('/').map((part, depth) => {
    if (depth === 0) return part;
    const moved = Array.isArray(at) && at.length > index ? String(index) : part;
    at = (at as Record<string, unknown> | undefined)?.[moved];
    return moved;
  });
  return parts.join('/');
}
