/**
 * Server-sent events over a fastify reply: one `data:` line per payload, `: keep-alive` during silence.
 * Knows framing and backpressure; the routes know what the payloads mean.
 */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** Proxies drop a connection that is silent for a minute. */
const KEEP_ALIVE_MS = 15_000;
/** How long the first event may take before the headers go out without it; until then a failure has a status. */
const HEADERS_MS = 10_000;

export interface ServerEvent {
  /** Sent as JSON; a string is sent as it is. */
  data: unknown;
  /** The `event:` line. Browsers call an event without one `message`. */
  event?: string;
}

/**
 * Sends `events` as they come. When the client goes, `return` of the iterable is called.
 *
 * @param describeError makes the last event of a stream that fails after its headers have gone out
 * @param headers what the headers say, asked when the first event is there or they can wait no longer
 * @throws what the iterable throws before that
 */
export async function sendEventStream(
  reply: FastifyReply,
  events: AsyncIterable<ServerEvent>,
  describeError: (error: unknown) => ServerEvent,
  headers: () => Record<string, number> = () => ({}),
): Promise<FastifyReply> {
  const iterator = events[Symbol.asyncIterator]();
  const first = iterator.next();
  await within(first, HEADERS_MS);
  return reply
    .code(200)
    .headers(headers())
    .header('content-type', 'text/event-stream; charset=utf-8')
    .header('cache-control', 'no-cache, no-transform')
    .header('x-accel-buffering', 'no')
    .send(Readable.from(frames(iterator, first, describeError), { objectMode: true, highWaterMark: 16 }));
}

function encodeEvent({ data, event }: ServerEvent): string {
  const line = typeof data === 'string' ? data : JSON.stringify(data);
  return event === undefined ? `data: ${line}\n\n` : `event: ${event}\ndata: ${line}\n\n`;
}

async function* frames(
  iterator: AsyncIterator<ServerEvent>,
  first: Promise<IteratorResult<ServerEvent>>,
  describeError: (error: unknown) => ServerEvent,
): AsyncGenerator<string> {
  let next = first;
  try {
    for (;;) {
      let result = await within(next, KEEP_ALIVE_MS);
      while (result === undefined) {
        yield ': keep-alive\n\n';
        result = await within(next, KEEP_ALIVE_MS);
      }
      if (result.done) return;
      yield encodeEvent(result.value);
      next = iterator.next();
    }
  } catch (error) {
    yield encodeEvent(describeError(error));
  } finally {
    next.catch(() => {});
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
