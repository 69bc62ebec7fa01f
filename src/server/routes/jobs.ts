/** /v1/jobs/{id}: how far a background ingestion is, as JSON or as a stream of events, and ending it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import type { JobState } from '../../documents/job-record.js';
import { BlockstitchError } from '../../errors.js';
import { type ServerEvent, sendEventStream } from '../event-stream.js';
import { streamError } from '../generation/request-basics.js';
import type { Lifecycle } from '../lifecycle.js';
import { JobSchema } from '../schemas/document-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import { JobEventSchema } from '../schemas/event-schema.js';
import * as examples from '../schemas/examples.js';
import { events, json } from '../schemas/response-forms.js';

const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 256 }) });
const tags = ['documents'];
const jobErrors = errorResponses([], ['job_not_found', 'store_failed']);

const getSchema = {
  operationId: 'getJob',
  tags,
  summary: 'State of a background ingestion',
  params,
  response: { 200: json(JobSchema, 'The job.', examples.job), ...jobErrors },
};
const eventsSchema = {
  operationId: 'watchJob',
  tags,
  summary: 'Progress of a background ingestion as server-sent events',
  description: 'Events named `progress`, then one named `done`, `failed` or `cancelled`; each holds the job.',
  params,
  response: {
    200: events({ schema: JobEventSchema, example: examples.jobEvent }, 'One event per change.'),
    ...jobErrors,
  },
};
const cancelSchema = {
  operationId: 'cancelJob',
  tags,
  summary: 'Cancel a background ingestion',
  description: 'Answers with the state in which the job ended. A job that had ended before stays as it is.',
  params,
  response: {
    200: json(JobSchema, 'The job, which has ended.', { ...examples.job, status: 'cancelled' }),
    ...jobErrors,
  },
};

export const jobs: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.get('/v1/jobs/:id', { schema: getSchema }, async (request) => {
    const { id } = request.params;
    return wireJob(existing(await lifecycle.services().documents.jobs.get(request.scope.tenant, id), id));
  });

  app.get('/v1/jobs/:id/events', { schema: eventsSchema }, async (request, reply) => {
    const services = lifecycle.services();
    const { jobs } = services.documents;
    const { id } = request.params;
    const { tenant } = request.scope;
    existing(await jobs.get(tenant, id), id);
    const changes = jobEvents(jobs.watch(tenant, id, request.clientSignal));
    return sendEventStream(reply, changes, streamError(services, request));
  });

  app.delete('/v1/jobs/:id', { schema: cancelSchema }, async (request) => {
    const { id } = request.params;
    return wireJob(existing(await lifecycle.services().documents.jobs.cancel(request.scope.tenant, id), id));
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

async function* jobEvents(states: AsyncIterable<JobState>): AsyncGenerator<ServerEvent> {
  for await (const state of states) {
    yield { event: state.status === 'running' ? 'progress' : state.status, data: wireJob(state) };
  }
}

/** A job of another tenant is not told from one that does not exist. */
function existing(job: JobState | undefined, id: string): JobState {
  if (!job) throw new BlockstitchError('job_not_found', { id }, { param: 'id' });
  return job;
}
