/** Server-sent events of a response, as the shapes that they hold. Knows names of events and their data, no routes. */
import { type EventSourceMessage, EventSourceParserStream } from 'eventsource-parser/stream';
import { BlockstitchError, isErrorResponse, UnexpectedAnswer } from './errors.js';
import type { Job, JobEventName, ResponseChange } from './generated/schema.js';

/** An event of a job: `progress`, and at last `done`, `failed` or `cancelled`. */
export interface JobChange {
  name: JobEventName;
  job: Job;
}

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;

/**
 * The chunks of an answer, up to `[DONE]`. Leaving the loop ends the request.
 *
 * @throws BlockstitchError if the stream ends with an error; UnexpectedAnswer if it was cut
 */
export async function* chunks<Chunk>(body: Bytes): AsyncGenerator<Chunk, void, undefined> {
  for await (const event of eventsOf(body)) {
    if (event.data === '[DONE]') return;
    yield dataOf<Chunk>(event);
  }
  throw new UnexpectedAnswer('the stream was cut: [DONE] is missing');
}

/** The lines of NDJSON, as they come. */
export async function* jsonLines<Line>(body: Bytes): AsyncGenerator<Line, void, undefined> {
  let rest = '';
  for await (const part of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + part).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as Line;
  }
  if (rest !== '') throw new UnexpectedAnswer('the answer was cut in the middle of a line');
}

/** The changes of a job, up to its end. @throws as `chunks` */
export async function* jobChanges(body: Bytes): AsyncGenerator<JobChange, void, undefined> {
  let ended = false;
  for await (const event of eventsOf(body)) {
    const job = dataOf<Job>(event);
    ended = job.status !== 'running';
    yield { name: event.event as JobEventName, job };
  }
  if (!ended) throw new UnexpectedAnswer('the stream was cut: the job still runs');
}

/** The events of a response, up to its end. @throws as `chunks` */
export async function* responseChanges(body: Bytes): AsyncGenerator<ResponseChange, void, undefined> {
  let ended = false;
  for await (const event of eventsOf(body)) {
    const change = dataOf<ResponseChange>(event);
    ended = change.type === 'response.completed' || change.type === 'response.incomplete';
    yield change;
  }
  if (!ended) throw new UnexpectedAnswer('the stream was cut: the response has no end');
}

async function* eventsOf(body: Bytes): AsyncGenerator<EventSourceMessage, void, undefined> {
  const reader = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function dataOf<Data>({ event, data }: EventSourceMessage): Data {
  const parsed: unknown = JSON.parse(data);
  if (event === undefined && isErrorResponse(parsed)) throw new BlockstitchError(200, parsed);
  return parsed as Data;
}
