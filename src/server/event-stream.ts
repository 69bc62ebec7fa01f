/**
 * Server-sent events over a fastify reply: one `data:` line per payload, `: keep-alive` while there is nothing to say.
 * Knows framing and backpressure; what the payloads mean is the routes' business.
 */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** Proxies drop a connection that is silent for a minute. */
const KEEP_ALIVE_MS = 15_000;

export interface ServerEvent {
  /** Sent as JSON, a string as it is. */
  data: unknown;
  /** `event:` line; without one the browser calls it `message`. */
  event?: string;
}

/**
 * Sends `events` as they come. The stream ends with the iterable; the iterable is told to return when the client goes.
 * The iterable must not throw: errors are events of its own.
 */
export function sendEventStream(reply: FastifyReply, events: AsyncIterable<ServerEvent>): FastifyReply {
  return reply
    .code(200)
    .header('content-type', 'text/event-stream; charset=utf-8')
    .header('cache-control', 'no-cache, no-transform')
    .header('x-accel-buffering', 'no')
    .send(Readable.from(withKeepAlive(events), { objectMode: true, highWaterMark: 16 }));
}

export function encodeEvent({ data, event }: ServerEvent): string {
  const line = typeof data === 'string' ? data : JSON.stringify(data);
  return event === undefined ? `data: ${line}\n\n` : `event: ${event}\ndata: ${line}\n\n`;
}

async function* withKeepAlive(events: AsyncIterable<ServerEvent>): AsyncGenerator<string> {
  const iterator = events[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = iterator.next();
      let result = await within(next, KEEP_ALIVE_MS);
      while (result === undefined) {
        yield ': keep-alive\n\n';
        result = await within(next, KEEP_ALIVE_MS);
      }
      if (result.done) return;
      yield encodeEvent(result.value);
    }
  } finally {
    await iterator.return?.();
  }
}

/** @returns undefined when `promise` is still pending after `ms` */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
