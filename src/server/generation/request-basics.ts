/** What every generating route does first: the right model, the attention mode, the error of a broken stream. */
import type { FastifyRequest } from 'fastify';
import { DEFAULT_REPAIR_CHOICE, type RepairOptions } from '../../engine/engine.js';
import { BlockstitchError } from '../../errors.js';
import type { AttentionMode } from '../../prompt/prompt-plan.js';
import type { ServerEvent } from '../event-stream.js';
import { errorBody, logError, translate } from '../plugins/error-handler.js';
import type { SamplingBody } from '../schemas/sampling-schema.js';
import type { Services } from '../services.js';

/** @throws BlockstitchError `model_not_found` */
export function checkModel(services: Pick<Services, 'model'>, model: string | undefined): void {
  if (model !== undefined && model !== services.model.name) {
    throw new BlockstitchError('model_not_found', { model }, { param: 'model' });
  }
}

/** The attention of the request's plan. Repairing everything is full attention. */
export function attentionMode(services: Services, body: SamplingBody): AttentionMode {
  const { attention } = body;
  if (attention === undefined) return services.defaultAttention.mode;
  if (typeof attention === 'string') return attention;
  return (repairOptions(services, body).repair?.share ?? 0) >= 1 ? 'full' : attention.mode;
}

/**
 * A request that names an attention gets that one: `block` alone is plain.
 *
 * @throws BlockstitchError `invalid_request` for a repair of full attention
 */
export function repairOptions(
  { defaultAttention }: Pick<Services, 'defaultAttention'>,
  { attention }: SamplingBody,
): { repair?: RepairOptions } {
  if (attention === undefined) return defaultAttention.repair ? { repair: defaultAttention.repair } : {};
  if (typeof attention !== 'object' || attention.repair === undefined) return {};
  const { mode, repair } = attention;
  if (mode === 'full') {
    const reason = '`attention.repair` needs the mode `block`: full attention has nothing to repair.';
    throw new BlockstitchError('invalid_request', { reason }, { param: 'attention.repair' });
  }
  if (typeof repair === 'number') return { repair: { share: repair, by: DEFAULT_REPAIR_CHOICE } };
  return { repair: { share: repair.share, by: repair.by ?? DEFAULT_REPAIR_CHOICE } };
}

/** Makes the last event of a stream that fails after its headers have gone out. */
export function streamError(services: Services, request: FastifyRequest): (thrown: unknown) => ServerEvent {
  return (thrown) => {
    const error = translate(thrown, request);
    services.metrics.error(error.code);
    logError(error, thrown, request);
    return { data: errorBody(error) };
  };
}

export function unixSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
