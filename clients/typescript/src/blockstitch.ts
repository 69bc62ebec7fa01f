/**
 * The client with typed helpers: answers, streams, documents, jobs. `api` has every route with the types of the OpenAPI
 * document (openapi-fetch).
 */
import createClient, { type Client } from 'openapi-fetch';
import { BlockstitchError, isErrorResponse, UnexpectedAnswer } from './errors.js';
import { chunks, type JobChange, jobChanges, jsonLines, responseChanges } from './events.js';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  Completion,
  CompletionChunk,
  CompletionRequest,
  Document,
  DocumentDeleted,
  DocumentRequest,
  DocumentResult,
  Job,
  paths,
  ResponseChange,
  ResponseObject,
  ResponseRequest,
  SegmentList,
  SegmentRequest,
} from './generated/schema.js';

export interface BlockstitchOptions {
  /** Such as `http://127.0.0.1:8080`. */
  baseUrl: string;
  /** If the server has keys. */
  apiKey?: string;
  /** Separates what this client stores from what others store. */
  cacheSalt?: string;
  /** In place of the global one. */
  fetch?: (request: Request) => Promise<Response>;
}

/** What every call takes beside its arguments. */
export interface CallOptions {
  signal?: AbortSignal;
}

const PAGE_DOCUMENTS = 100;

/** Every call throws BlockstitchError if the server refuses it, and UnexpectedAnswer if the answer is not its own. */
export class Blockstitch {
  /** Every route of the API. Answers of generating routes are JSON here: streams have helpers. */
  readonly api: Client<paths, 'application/json'>;

  constructor({ baseUrl, apiKey, cacheSalt, fetch }: BlockstitchOptions) {
    const headers = {
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      ...(cacheSalt === undefined ? {} : { 'x-cache-salt': cacheSalt }),
    };
    this.api = createClient<paths, 'application/json'>({ baseUrl, headers, ...(fetch === undefined ? {} : { fetch }) });
  }

  /** Answers a conversation over documents. */
  async chat(body: ChatCompletionRequest, options: CallOptions = {}): Promise<ChatCompletion> {
    return answer(await this.api.POST('/v1/chat/completions', { body: { ...body, stream: false }, ...options }));
  }

  /** The answer in chunks, as they come. Leaving the loop ends the request. */
  async *streamChat(
    body: ChatCompletionRequest,
    options: CallOptions = {},
  ): AsyncGenerator<ChatCompletionChunk, void, undefined> {
    const sent = { body: { ...body, stream: true }, parseAs: 'stream', ...options } as const;
    yield* chunks<ChatCompletionChunk>(stream(await this.api.POST('/v1/chat/completions', sent)));
  }

  /** Continues a prompt behind cached blocks. */
  async complete(body: CompletionRequest, options: CallOptions = {}): Promise<Completion> {
    return answer(await this.api.POST('/v1/completions', { body: { ...body, stream: false }, ...options }));
  }

  /** The text in chunks, as they come. Leaving the loop ends the request. */
  async *streamCompletion(
    body: CompletionRequest,
    options: CallOptions = {},
  ): AsyncGenerator<CompletionChunk, void, undefined> {
    const sent = { body: { ...body, stream: true }, parseAs: 'stream', ...options } as const;
    yield* chunks<CompletionChunk>(stream(await this.api.POST('/v1/completions', sent)));
  }

  /** Answers in the form of OpenAI's responses. */
  async respond(body: ResponseRequest, options: CallOptions = {}): Promise<ResponseObject> {
    return answer(await this.api.POST('/v1/responses', { body: { ...body, stream: false }, ...options }));
  }

  /** The events of a response, as they come. Leaving the loop ends the request. */
  async *streamResponse(
    body: ResponseRequest,
    options: CallOptions = {},
  ): AsyncGenerator<ResponseChange, void, undefined> {
    const sent = { body: { ...body, stream: true }, parseAs: 'stream', ...options } as const;
    yield* responseChanges(stream(await this.api.POST('/v1/responses', sent)));
  }

  /** How a text would be cut into blocks. */
  async segment(body: SegmentRequest, options: CallOptions = {}): Promise<SegmentList> {
    return answer(await this.api.POST('/v1/segment', { body, ...options }));
  }

  /** Resolves when every block of the document is computed and stored. */
  async ingest(document: DocumentRequest, options: CallOptions = {}): Promise<Document> {
    const sent = { body: { ...document, background: false }, ...options };
    return answer<Document | Job>(await this.api.POST('/v1/documents', sent)) as Document;
  }

  /** Resolves at once. `watchJob` and `finishJob` follow the job. */
  async ingestInBackground(document: DocumentRequest, options: CallOptions = {}): Promise<Job> {
    const sent = { body: { ...document, background: true }, ...options };
    return answer<Document | Job>(await this.api.POST('/v1/documents', sent)) as Job;
  }

  /** Ingests many documents. Results come in their order, each as soon as it is done. One that fails ends no other. */
  async *ingestMany(
    documents: Iterable<DocumentRequest>,
    options: CallOptions = {},
  ): AsyncGenerator<DocumentResult, void, undefined> {
    const body = Array.from(documents, (document) => `${JSON.stringify(document)}\n`).join('');
    const headers = { 'content-type': 'application/x-ndjson' };
    const sent = { body, headers, bodySerializer: String, parseAs: 'stream', ...options };
    yield* jsonLines<DocumentResult>(stream(await this.api.request('post', '/v1/document-batch', sent as never)));
  }

  /** One document with its text. */
  async getDocument(id: string, options: CallOptions = {}): Promise<Document> {
    return answer(await this.api.GET('/v1/documents/{id}', { params: { path: { id } }, ...options }));
  }

  /** Drops a document and its blocks. */
  async deleteDocument(id: string, options: CallOptions = {}): Promise<DocumentDeleted> {
    return answer(await this.api.DELETE('/v1/documents/{id}', { params: { path: { id } }, ...options }));
  }

  /** Every document, page by page, without texts and blocks. */
  async *documents(options: CallOptions = {}): AsyncGenerator<Document, void, undefined> {
    let after: string | null = null;
    do {
      const query: { limit: number; after?: string } = { limit: PAGE_DOCUMENTS, ...(after === null ? {} : { after }) };
      const listed = answer(await this.api.GET('/v1/documents', { params: { query }, ...options }));
      yield* listed.data;
      after = listed.has_more ? listed.last_id : null;
    } while (after !== null);
  }

  /** The job as it is now. */
  async getJob(id: string, options: CallOptions = {}): Promise<Job> {
    return answer(await this.api.GET('/v1/jobs/{id}', { params: { path: { id } }, ...options }));
  }

  /** Ends a job. One that had ended before stays as it is. */
  async cancelJob(id: string, options: CallOptions = {}): Promise<Job> {
    return answer(await this.api.DELETE('/v1/jobs/{id}', { params: { path: { id } }, ...options }));
  }

  /** The job's changes as they come, up to its end. */
  async *watchJob(id: string, options: CallOptions = {}): AsyncGenerator<JobChange, void, undefined> {
    const sent = { params: { path: { id } }, parseAs: 'stream', ...options } as const;
    yield* jobChanges(stream(await this.api.GET('/v1/jobs/{id}/events', sent)));
  }

  /** Waits for the job's end. Its `status` says how it ended. */
  async finishJob(id: string, options: CallOptions = {}): Promise<Job> {
    let last: Job | undefined;
    for await (const { job } of this.watchJob(id, options)) last = job;
    if (last === undefined) throw new UnexpectedAnswer('the job has no events');
    return last;
  }
}

interface Answered<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

function answer<Data>({ data, error, response }: Answered<Data>): Data {
  if (data !== undefined) return data;
  throw refusal(error, response);
}

function stream({ data, error, response }: Answered<unknown>): ReadableStream<Uint8Array<ArrayBuffer>> {
  if (data instanceof ReadableStream) return data;
  throw refusal(error, response);
}

function refusal(error: unknown, { status }: Response): Error {
  if (isErrorResponse(error)) return new BlockstitchError(status, error);
  return new UnexpectedAnswer(`HTTP ${status}: ${String(error).slice(0, 200)}`);
}
