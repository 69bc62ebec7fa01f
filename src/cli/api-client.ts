/** A small client of the server's own API for `ask`, `demo`, `eval` and `ingest`: what they ask, with times measured here. */
import type { RepairChoice } from '../engine/engine.js';
import { BlockstitchError, ERRORS, type ErrorCode } from '../errors.js';
import type { Report, Usage } from '../server/schemas/usage-schema.js';

export interface ChatQuestion {
  question: string;
  documents: readonly { id?: string; title?: string; text?: string }[];
  system?: string;
  maxTokens?: number;
  temperature?: number;
  attention?: 'block' | 'full' | { mode: 'block'; repair: { share: number; by?: RepairChoice } };
  cacheSalt?: string;
}

export interface ChatResult {
  text: string;
  /** From sending the request to the first piece of text, milliseconds, measured here. */
  ttftMs: number;
  totalMs: number;
  report: Report;
  usage: Usage;
}

interface Chunk {
  choices: { delta: { content?: string } }[];
  blockstitch?: Report;
  usage?: Usage | null;
  error?: RemoteFault;
}

interface RemoteFault {
  message: string;
  code: string;
  remedy?: string;
}

/** What a server answered with, under its own code, in its own words. */
export class RemoteError extends BlockstitchError {
  override readonly remedy: string;

  /** @param retryAfterMs how long the server asks to wait */
  constructor(
    { message, code, remedy }: RemoteFault,
    readonly retryAfterMs?: number,
  ) {
    const known = (code in ERRORS ? code : 'engine_failed') as ErrorCode;
    super(known);
    this.message = message;
    // The table's own has places that only the server can fill.
    this.remedy = remedy ?? ERRORS[known].remedy.replace(/;[^;]*\{\w+\}.*/, '.');
  }
}

/**
 * The address of a server as a flag gives it. OpenAI's clients want it with /v1, so many will write it so.
 *
 * @returns without that, and without a slash at the end
 * @throws BlockstitchError `config_invalid`
 */
export function serverUrl(given: string): string {
  if (!/^https?:\/\/./.test(given) || !URL.canParse(given)) {
    throw new BlockstitchError('config_invalid', { setting: '--url', reason: 'it is not an http or https address' });
  }
  return given.replace(/\/+$/, '').replace(/\/v1$/, '');
}

/**
 * Asks a server and streams the answer.
 *
 * @param url    the server, without /v1
 * @param onText called with each piece of the answer
 * @throws BlockstitchError with the server's code; `not_ready` if nobody listens
 */
export async function askServer(
  url: string,
  question: ChatQuestion,
  { apiKey, onText }: { apiKey?: string | undefined; onText?: (text: string) => void } = {},
): Promise<ChatResult> {
  const started = performance.now();
  const response = await post(`${url}/v1/chat/completions`, chatBody(question), apiKey);
  if (!response.ok || !response.body) throw await errorOf(response);
  let ttftMs: number | undefined;
  let text = '';
  let report: Report | undefined;
  let usage: Usage | undefined;
  for await (const chunk of chunks(response.body)) {
    if (chunk.error) throw new RemoteError(chunk.error);
    const piece = chunk.choices[0]?.delta.content ?? '';
    if (piece !== '') {
      ttftMs ??= performance.now() - started;
      text += piece;
      onText?.(piece);
    }
    report = chunk.blockstitch ?? report;
    usage = chunk.usage ?? usage;
  }
  if (!report || !usage) throw new BlockstitchError('engine_failed', { reason: 'the stream broke off' });
  const totalMs = performance.now() - started;
  return { text, ttftMs: ttftMs ?? totalMs, totalMs, report, usage };
}

/** Whom a request is for. */
export interface Caller {
  apiKey?: string | undefined;
  cacheSalt?: string | undefined;
}

export interface IngestedDocument {
  id: string;
  tokens: number;
  blocks: { hash: string; tokens: number; origin?: string }[];
}

/** Sends one document to /v1/documents and waits until its blocks are stored. */
export async function ingest(
  url: string,
  document: { id?: string; title?: string; text: string; metadata?: Record<string, string> },
  { apiKey, cacheSalt }: Caller = {},
): Promise<IngestedDocument> {
  const body = { ...document, ...(cacheSalt === undefined ? {} : { cache_salt: cacheSalt }) };
  const response = await post(`${url}/v1/documents`, body, apiKey);
  if (!response.ok) throw await errorOf(response);
  return (await response.json()) as IngestedDocument;
}

/** @returns the metadata of a document; undefined if it is not there, or damaged */
export async function documentMetadata(
  url: string,
  id: string,
  { apiKey, cacheSalt }: Caller = {},
): Promise<Record<string, string> | undefined> {
  const salt = cacheSalt === undefined ? {} : { 'x-cache-salt': cacheSalt };
  const path = `${url}/v1/documents/${encodeURIComponent(id)}?include_text=false`;
  const response = await send(path, { headers: { ...headers(apiKey), ...salt } });
  if (response.ok) return ((await response.json()) as { metadata?: Record<string, string> }).metadata ?? {};
  const error = await errorOf(response);
  if (error.code === 'document_not_found' || error.code === 'document_damaged') return undefined;
  throw error;
}

/** Drops every cached block. @returns how many */
export async function flushCache(url: string, apiKey?: string): Promise<number> {
  const response = await send(`${url}/v1/cache`, { method: 'DELETE', headers: headers(apiKey) });
  if (!response.ok) throw await errorOf(response);
  return ((await response.json()) as { blocks: number }).blocks;
}

/** Name of the model that a server serves. */
export async function servedModel(url: string, apiKey?: string): Promise<string> {
  const response = await send(`${url}/v1/models`, { headers: headers(apiKey) });
  if (!response.ok) throw await errorOf(response);
  const { data } = (await response.json()) as { data: { id: string }[] };
  return data[0]?.id ?? 'unknown';
}

function chatBody({ question, documents, system, maxTokens, temperature, attention, cacheSalt }: ChatQuestion): object {
  return {
    messages: [
      ...(system === undefined ? [] : [{ role: 'system', content: system }]),
      { role: 'user', content: question },
    ],
    ...(documents.length === 0 ? {} : { documents }),
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(attention === undefined ? {} : { attention }),
    ...(cacheSalt === undefined ? {} : { cache_salt: cacheSalt }),
    stream: true,
    stream_options: { include_usage: true },
  };
}

function post(url: string, body: object, apiKey: string | undefined): Promise<Response> {
  return send(url, {
    method: 'POST',
    headers: { ...headers(apiKey), 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const nobody = new BlockstitchError('not_ready', {}, { cause: error });
    const reason = cause instanceof Error ? cause.message : String(cause);
    nobody.message = `No server answers at ${new URL(url).origin}: ${reason}`;
    throw nobody;
  }
}

function headers(apiKey: string | undefined): Record<string, string> {
  return apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
}

/** The JSON payloads of an event stream, up to `[DONE]`. */
async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Chunk> {
  const decoder = new TextDecoder();
  let held = '';
  for await (const bytes of body) {
    held += decoder.decode(bytes, { stream: true });
    const events = held.split('\n\n');
    held = events.pop() ?? '';
    for (const event of events) {
      const data = event.replace(/^data: /, '');
      if (event.startsWith(':') || data === '[DONE]') continue;
      yield JSON.parse(data) as Chunk;
    }
  }
}

async function errorOf(response: Response): Promise<RemoteError> {
  const body = (await response.json().catch(() => ({}))) as { error?: RemoteFault };
  const { origin } = new URL(response.url);
  const message = `${origin} does not answer as Blockstitch does (${response.status} ${response.statusText})`;
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new RemoteError(
    body.error ?? { message, code: response.status >= 500 ? 'engine_failed' : 'route_not_found' },
    seconds >= 0 ? seconds * 1000 : undefined,
  );
}
