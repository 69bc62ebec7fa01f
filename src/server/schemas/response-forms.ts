/** Response descriptions that fastify and OpenAPI both read: JSON, or JSON and an event stream. */
import { type TSchema, Type } from '@fastify/type-provider-typebox';

export function json(schema: TSchema, description: string): TSchema {
  return Type.Unsafe({ description, content: { 'application/json': { schema } } });
}

export function jsonOrEvents(schema: TSchema, event: TSchema, description: string): TSchema {
  return Type.Unsafe({
    description,
    content: { 'application/json': { schema }, 'text/event-stream': { schema: event } },
  });
}

export function events(event: TSchema, description: string): TSchema {
  return Type.Unsafe({ description, content: { 'text/event-stream': { schema: event } } });
}
