/**
 * The page's client of its own server: four routes, the API key, errors in the server's own words.
 * The key stays in this tab (sessionStorage) and goes into the header alone, never into an address.
 */
import { eventData } from './event-lines.js';
import type { ChatBody, ChatChunk, CutAnswer, ErrorAnswer, Model, Samples } from './wire.js';

const KEY_NAME = 'blockstitch-api-key';

/** What the server refused, or that it cannot be reached. */
export class ServerError extends Error {
  constructor(
    message: string,
    readonly code: string,
    /** What to do about it; may be empty. */
    readonly remedy: string,
  ) {
    super(message);
  }
}

export interface CutOptions {
  /** 0 = finest, 1 = coarsest; undefined: the server's own length. */
  granularity?: number | undefined;
  /** Of whom the blocks are; the common ones without it. */
  salt?: string;
  signal?: AbortSignal;
}

interface RequestOptions {
  method?: string;
  body?: object;
  signal?: AbortSignal | undefined;
  salt?: string | undefined;
}

export class ServerApi {
  #key = sessionStorage.getItem(KEY_NAME) ?? '';
  /** Called when the server refuses a request for want of a key, or because of the one it got. */
  onKeyRefused: (error: ServerError) => void = () => undefined;

  get hasKey(): boolean {
    return this.#key !== '';
  }

  useKey(key: string): void {
    this.#key = key.trim();
    if (this.#key === '') sessionStorage.removeItem(KEY_NAME);
    else sessionStorage.setItem(KEY_NAME, this.#key);
  }

  async model(): Promise<Model> {
    const { data } = (await (await this.#request('v1/models')).json()) as { data: Model[] };
    const [model] = data;
    if (model === undefined) throw new ServerError('The server serves no model.', 'not_ready', '');
    return model;
  }

  async samples(): Promise<Samples> {
    return (await (await this.#request('playground/samples.json')).json()) as Samples;
  }

  /** How a text is cut, and which of its blocks are cached. Computes nothing. */
  async cut(text: string, { granularity, salt, signal }: CutOptions): Promise<CutAnswer> {
    const body = { text, include_cache: true, ...(granularity === undefined ? {} : { segmentation: { granularity } }) };
    return (await (await this.#request('v1/segment', { body, signal, salt })).json()) as CutAnswer;
  }

  /** @throws ServerError also for an error that comes after the stream has begun */
  async *chat(body: ChatBody, signal: AbortSignal): AsyncGenerator<ChatChunk> {
    const response = await this.#request('v1/chat/completions', { body, signal });
    if (response.body === null) return;
    for await (const data of eventData(response.body)) {
      if (data === '[DONE]') return;
      const chunk = JSON.parse(data) as ChatChunk | ErrorAnswer;
      if ('error' in chunk) throw errorOf(chunk);
      yield chunk;
    }
    throw new ServerError('The answer broke off.', 'unreachable', 'Ask again.');
  }

  /** Drops a block from every tier. One that is gone already is no error. */
  async dropBlock(hash: string): Promise<void> {
    try {
      await this.#request(`v1/blocks/${hash}`, { method: 'DELETE' });
    } catch (error) {
      if (!(error instanceof ServerError && error.code === 'block_not_found')) throw error;
    }
  }

  async #request(
    path: string,
    { body, signal, salt, method = body === undefined ? 'GET' : 'POST' }: RequestOptions = {},
  ): Promise<Response> {
    const headers = new Headers();
    if (body !== undefined) headers.set('content-type', 'application/json');
    if (salt !== undefined) headers.set('x-cache-salt', salt);
    if (this.hasKey) headers.set('authorization', `Bearer ${this.#key}`);
    let response: Response;
    try {
      response = await fetch(new URL(path, document.baseURI), {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ServerError('The server cannot be reached.', 'unreachable', 'See whether it runs, then try again.');
    }
    if (response.ok) return response;
    const refused = errorOf(await response.json().catch(() => undefined), response.status);
    if (response.status === 401) this.onKeyRefused(refused);
    throw refused;
  }
}

function errorOf(answer: ErrorAnswer | undefined, status = 0): ServerError {
  if (answer?.error === undefined) return new ServerError(`The server answered ${status}.`, 'unknown', '');
  const { message, code, remedy } = answer.error;
  return new ServerError(message, code, remedy);
}
