/** /v1/jobs/{id}: how far a background ingestion is, as JSON or as a stream of events. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import type { IngestJobs, JobState } from '../../documents/ingest-jobs.js';
import { BlockstitchError } from '../../errors.js';
import { type ServerEvent, sendEventStream } from '../event-stream.js';
import { streamError } from '../generation/request-basics.js';
import type { Lifecycle } from '../lifecycle.js';
import { JobSchema } from '../schemas/document-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import { events, json } from '../schemas/response-forms.js';

const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 256 }) });
const tags = ['documents'];
const jobErrors = errorResponses([], ['job_not_found']);

const getSchema = {
  operationId: 'getJob',
  tags,
  summary: 'State of a background ingestion',
  params,
  response: { 200: json(JobSchema, 'The job.'), ...jobErrors },
};
const eventsSchema = {
  operationId: 'watchJob',
  tags,
  summary: 'Progress of a background ingestion as server-sent events',
  description: 'Events named `progress`, then one named `done`, `failed` or `cancelled`; each holds the job.',
  params,
  response: { 200: events(JobSchema, 'One event per change.'), ...jobErrors },
};

export const jobs: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.get('/v1/jobs/:id', { schema: getSchema }, async (request) => {
    return wireJob(existing(lifecycle.services().jobs, request.params.id));
  });

  app.get('/v1/jobs/:id/events', { schema: eventsSchema }, async (request, reply) => {
    const services = lifecycle.services();
    const { id } = existing(services.jobs, request.params.id);
    const changes = jobEvents(services.jobs, id, request.clientSignal);
    return sendEventStream(reply, changes, streamError(services, request));
  });
};

export function wireJob(job: JobState) {
  return {
    id: job.id,
    object: 'job',
    status: job.status,
    document_id: job.documentId,
    created_at: job.createdAt,
    blocks_done: job.blocksDone,
    blocks_total: job.blocksTotal,
    error: job.error ? { message: job.error.message, code: job.error.code } : null,
  };
}

async function* jobEvents(table: IngestJobs, id: string, signal: AbortSignal): AsyncGenerator<ServerEvent> {
  for await (const state of table.watch(id, signal)) {
    yield { event: state.status === 'running' ? 'progress' : state.status, data: wireJob(state) };
  }
}

function existing(table: IngestJobs, id: string): JobState {
  const job = table.get(id);
  if (!job) throw new BlockstitchError('job_not_found', { id }, { param: 'id' });
  return job;
}
