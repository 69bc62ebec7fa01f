/** Bodies that fastify and OpenAPI both read, each with an example: of requests, and of answers in JSON, events, or either. */
import { type TSchema, Type } from '@fastify/type-provider-typebox';
import { copyOf } from './named.js';

/** A request's body. */
export function body<S extends TSchema>(schema: S, example: object): S {
  return Object.assign(copyOf(schema), { examples: [example] });
}

export function json(schema: TSchema, description: string, example: object, headers?: object): TSchema {
  return Type.Unsafe({
    description,
    content: { 'application/json': { schema, example } },
    ...(headers === undefined ? {} : { headers }),
  });
}

export function jsonOrEvents(
  { schema, example }: { schema: TSchema; example: object },
  event: { schema: TSchema; example: object },
  description: string,
): TSchema {
  return Type.Unsafe({
    description,
    content: { 'application/json': { schema, example }, 'text/event-stream': event },
  });
}

/** @param event describes each event of the stream */
export function events(event: { schema: TSchema; example: object }, description: string): TSchema {
  return Type.Unsafe({ description, content: { 'text/event-stream': event } });
}
