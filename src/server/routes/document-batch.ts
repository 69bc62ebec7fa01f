/**
 * POST /v1/document-batch: many documents as NDJSON, one result a line, in their order. The body is read as documents get
 * done, so memory holds a few of them whatever the size of the upload. A line that fails ends no other.
 * Results wait for a client that reads them at its end: they are short, and their number has a limit.
 */
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { settingLabel } from '../../config.js';
import { patiently } from '../../documents/patiently.js';
import { BlockstitchError } from '../../errors.js';
import { formatBytes } from '../../units.js';
import type { Lifecycle } from '../lifecycle.js';
import { type NdjsonLine, ndjsonLines } from '../ndjson-lines.js';
import { errorBody, logError, translate } from '../plugins/error-handler.js';
import { readJson, refuseEncoded } from '../plugins/json-body.js';
import { scopeOf } from '../plugins/tenants.js';
import { DocumentLinesSchema, type DocumentResult, DocumentResultSchema } from '../schemas/batch-schema.js';
import { type IngestBody, IngestBodySchema } from '../schemas/document-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import * as examples from '../schemas/examples.js';
import { ndjson, ndjsonBody } from '../schemas/response-forms.js';
import { validatorCompiler } from '../validator.js';
import { inTime, newDocument } from './documents.js';

/** Documents of one upload at work at the same time. */
const AT_ONCE = 4;
/** A sender that is silent for so long counts as gone. */
const IDLE_MS = 120_000;

const schema = {
  operationId: 'createDocuments',
  tags: ['documents'],
  summary: 'Ingest many documents from NDJSON, with a result per line',
  description:
    'Each line of the body is a document as for POST /v1/documents. Each line of the answer is the result of one, in the same ' +
    'order, sent as soon as it and those before it are done. A line that fails ends no other. The body is read as documents get done: ' +
    'send and read at the same time, or read at the end. The server allows so many documents: `--max-batch`, and a line as long as a body: `--max-body`.',
  consumes: ['application/x-ndjson'],
  body: ndjsonBody(DocumentLinesSchema, examples.documentLines),
  response: {
    200: ndjson({ schema: DocumentResultSchema, example: examples.documentResult }, 'One result per document.'),
    ...errorResponses([], ['invalid_json', 'unsupported_media_type', 'client_closed']),
  },
};
const validateLine = validatorCompiler({ schema: IngestBodySchema, httpPart: 'body', method: 'POST', url: '' });

export const documentBatch: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/x-ndjson', async (request: FastifyRequest) => {
    refuseEncoded(request);
    return request.raw;
  });

  // The body is a stream: what each line must be is checked line by line.
  const route = {
    schema,
    config: { streamsBody: true },
    validatorCompiler: (part: Parameters<typeof validatorCompiler>[0]) =>
      part.httpPart === 'body' ? () => true : validatorCompiler(part),
  };
  app.post('/v1/document-batch', route, async (request, reply) => {
    const { config } = lifecycle.services();
    if (request.body === undefined)
      throw new BlockstitchError('invalid_json', { what: 'The body', reason: 'it is empty' });
    const body = request.raw.iterator({ destroyOnReturn: false });
    const lines = ndjsonLines(body, { maxLineBytes: config.maxBodyBytes, idleMs: IDLE_MS });
    const answer = new PassThrough();
    const say = (result: DocumentResult) => void answer.write(`${JSON.stringify(result)}\n`);
    const sent = send(lines, (line) => resultOf(lifecycle, request, line), config.maxBatch, say);
    void sent.catch((thrown) => say(failed(0, undefined, translate(thrown, request)))).then(() => answer.end());
    reply.raw.once('finish', () => discard(request.raw, config.maxBodyBytes));
    return reply.type('application/x-ndjson; charset=utf-8').header('x-accel-buffering', 'no').send(answer);
  });
};

/** Reads on behind a body that was given up, so that its sender gets the answer, but not for ever. */
function discard(body: IncomingMessage, mostBytes: number): void {
  if (body.complete) return;
  let left = mostBytes;
  const timer = setTimeout(() => body.destroy(), IDLE_MS).unref();
  body.once('close', () => clearTimeout(timer));
  body.on('data', ({ length }: Buffer) => {
    left -= length;
    if (left < 0) body.destroy();
  });
}

/** A few lines are at work at once; results come in the order of the lines. */
async function send(
  lines: AsyncIterable<NdjsonLine>,
  work: (line: NdjsonLine) => Promise<DocumentResult>,
  maxLines: number,
  say: (result: DocumentResult) => void,
): Promise<void> {
  const waiting: Promise<DocumentResult>[] = [];
  const sayFirst = async () => {
    const result = await waiting.shift();
    if (result !== undefined) say(result);
  };
  let count = 0;
  let broken: unknown;
  try {
    for await (const line of lines) {
      if (++count > maxLines) {
        const details = {
          what: 'The upload',
          actual: `${count} documents`,
          limit: maxLines,
          setting: settingLabel('maxBatch'),
        };
        waiting.push(Promise.resolve(failed(line.line, undefined, new BlockstitchError('payload_too_large', details))));
        break;
      }
      waiting.push(work(line));
      if (waiting.length >= AT_ONCE) await sayFirst();
    }
  } catch (error) {
    broken = error;
  }
  while (waiting.length > 0) await sayFirst();
  if (broken !== undefined) throw broken;
}

/** Never rejects. */
async function resultOf(lifecycle: Lifecycle, request: FastifyRequest, given: NdjsonLine): Promise<DocumentResult> {
  const { line } = given;
  let id: string | undefined;
  const { documents, config } = lifecycle.services();
  try {
    const body = await readLine(given, config.maxBodyBytes);
    id = body.id;
    const scope = scopeOf(request, body);
    const document = newDocument(body);
    const { clientSignal } = request;
    if (body.background) {
      const job = await patiently(() => documents.start(scope, document), clientSignal);
      return { line, status: 'accepted', id: job.documentId, job_id: job.id };
    }
    const { record, reports } = await inTime(config.deadlineMs, clientSignal, (signal) =>
      patiently(() => documents.ingest(scope, document, { signal }), signal),
    );
    const tokens = (of: readonly { tokens: number }[]) => of.reduce((sum, { tokens }) => sum + tokens, 0);
    const computed = tokens(reports.filter(({ origin }) => origin === 'computed'));
    const { blocks } = record;
    const counts = { tokens: tokens(blocks), computed_tokens: computed, block_count: blocks.length };
    return { line, status: 'done', id: record.id, ...counts };
  } catch (thrown) {
    const error = translate(thrown, request);
    if (error.status >= 500) logError(error, thrown, request);
    return failed(line, id, error);
  }
}

async function readLine({ bytes }: NdjsonLine, maxBytes: number): Promise<IngestBody> {
  if (bytes === undefined) {
    const limit = formatBytes(maxBytes);
    const details = { what: 'The line', actual: 'more bytes', limit, setting: settingLabel('maxBodyBytes') };
    throw new BlockstitchError('payload_too_large', details);
  }
  const value = await readJson(bytes, 'The line');
  const checked = validateLine(value) as { value: IngestBody } | { error: unknown };
  if ('error' in checked) throw Object.assign(new Error(), { validation: checked.error, validationContext: 'line' });
  return checked.value;
}

function failed(line: number, id: string | undefined, error: BlockstitchError): DocumentResult {
  return { line, status: 'failed', ...(id === undefined ? {} : { id }), ...errorBody(error) };
}
