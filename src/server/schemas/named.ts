/**
 * Names for schemas. A named schema is a component of the OpenAPI document, and every place that uses it refers to it.
 * Validation and serialization see the schema itself. Knows marks; `openapi-components.ts` reads them.
 */
import { type Static, type TSchema, Type } from '@fastify/type-provider-typebox';

/** Mark of a schema: the name of its component. */
export const COMPONENT = 'x-component';
/** Mark of a use: what the component means in this place. */
export const USED_AS = 'x-used-as';

/** Names a schema that was just made. @param name in PascalCase, at most 50 characters, of one schema only */
export function named<S extends TSchema>(name: string, schema: S): S {
  return Object.assign(schema, { [COMPONENT]: name });
}

/** A named schema with a description of its own for one place. */
export function usedAs<S extends TSchema>(schema: S, description: string): S {
  return Object.assign(copyOf(schema), { [USED_AS]: description });
}

/** TypeBox keeps the kind of a schema in properties that a spread would lose. */
export function copyOf<S extends TSchema>(schema: S): S {
  return Object.create(Object.getPrototypeOf(schema), Object.getOwnPropertyDescriptors(schema)) as S;
}

/** An object with any keys, also keys with line breaks (a TypeBox record takes none of those). */
export function mapOf<S extends TSchema>(values: S, options: object = {}) {
  return Type.Unsafe<Record<string, Static<S>>>({ type: 'object', additionalProperties: values, ...options });
}

/** An object of which nothing is known. */
export function anyObject(options: object = {}) {
  return Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true, ...options });
}

/** A string or null, in answers: a union would be slow to serialize. */
export function stringOrNull(options: object = {}) {
  return Type.Unsafe<string | null>({ type: ['string', 'null'], ...options });
}

/** A string that is one of `values`, as JSON Schema's `enum`. */
export function oneOf<const V extends string>(values: readonly V[], options: object = {}) {
  return Type.Unsafe<V>({ type: 'string', enum: [...values], ...options });
}
