/** What every generating route does first: the right model, the attention mode, the error of a broken stream. */
import type { FastifyRequest } from 'fastify';
import { BlockstitchError } from '../../errors.js';
import type { AttentionMode } from '../../prompt/prompt-plan.js';
import type { ServerEvent } from '../event-stream.js';
import { errorBody, translate } from '../plugins/error-handler.js';
import type { SamplingBody } from '../schemas/sampling-schema.js';
import type { Services } from '../services.js';

/** @throws BlockstitchError `model_not_found` */
export function checkModel(services: Services, model: string | undefined): void {
  if (model !== undefined && model !== services.model.name) {
    throw new BlockstitchError('model_not_found', { model }, { param: 'model' });
  }
}

export function attentionMode(services: Services, { attention }: SamplingBody): AttentionMode {
  if (attention === undefined) return services.defaultAttention;
  return typeof attention === 'string' ? attention : attention.mode;
}

/** For failures after the headers of an event stream have gone out. */
export function streamError(services: Services, request: FastifyRequest): (thrown: unknown) => ServerEvent {
  return (thrown) => {
    const error = translate(thrown, request, services.config);
    services.metrics.error(error.code);
    request.log.warn({ err: error.cause ?? error, code: error.code }, 'event stream broke off');
    return { data: errorBody(error) };
  };
}

export function unixSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
