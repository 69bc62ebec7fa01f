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

/** The report of a generated answer in short. */
const reportHeaders = {
  'x-blockstitch-cached-tokens': { type: 'integer', description: 'Prompt tokens that were not prefilled.' },
  'x-blockstitch-blocks-hit': { type: 'integer', description: 'Blocks that were found in a tier.' },
  'x-blockstitch-ttft-ms': { type: 'number', description: 'From the parsed request to the first token.' },
};

/** A generated answer, whole or streamed. */
export function jsonOrEvents(
  { schema, example }: { schema: TSchema; example: object },
  event: { schema: TSchema; example: object },
  description: string,
): TSchema {
  return Type.Unsafe({
    description,
    content: { 'application/json': { schema, example }, 'text/event-stream': event },
    headers: reportHeaders,
  });
}

/** @param event describes each event of the stream */
export function events(event: { schema: TSchema; example: object }, description: string): TSchema {
  return Type.Unsafe({ description, content: { 'text/event-stream': event } });
}

/** A request's body of lines. @param example the lines as text */
export function ndjsonBody(schema: TSchema, example: string): TSchema {
  return Type.Unsafe({
    content: { 'application/x-ndjson': { schema: Object.assign(copyOf(schema), { examples: [example] }) } },
  });
}

/** @param line describes each line of the answer */
export function ndjson(line: { schema: TSchema; example: object }, description: string): TSchema {
  return Type.Unsafe({ description, content: { 'application/x-ndjson': line } });
}
