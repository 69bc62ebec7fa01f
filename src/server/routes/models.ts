/** GET /v1/models: the served model, as OpenAI lists models, with what Blockstitch knows of it. */
import { basename } from 'node:path';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import { BlockstitchError } from '../../errors.js';
import { checkpointName } from '../../model/imported-model.js';
import { unixSeconds } from '../generation/request-basics.js';
import type { Lifecycle } from '../lifecycle.js';
import { ModelListSchema, ModelSchema } from '../schemas/cache-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import * as examples from '../schemas/examples.js';
import { json } from '../schemas/response-forms.js';
import type { Services } from '../services.js';

const tags = ['models'];
const listSchema = {
  operationId: 'listModels',
  tags,
  summary: 'The served model, as a list of one',
  response: { 200: json(ModelListSchema, 'The list.', examples.modelList), ...errorResponses([]) },
};
const getSchema = {
  operationId: 'getModel',
  tags,
  summary: 'The served model',
  params: Type.Object({ model: Type.String({ minLength: 1, maxLength: 256 }) }),
  response: { 200: json(ModelSchema, 'The model.', examples.model), ...errorResponses([], ['model_not_found']) },
};

export const models: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  const created = unixSeconds();
  app.get('/v1/models', { schema: listSchema }, async () => {
    return { object: 'list', data: [wireModel(lifecycle.services(), created)] };
  });

  const find = (model: string) => {
    const services = lifecycle.services();
    if (model !== services.model.name) throw new BlockstitchError('model_not_found', { model }, { param: 'model' });
    return wireModel(services, created);
  };
  app.get('/v1/models/:model', { schema: getSchema }, async ({ params }) => find(params.model));
  // Names such as acme/small, which clients do not encode.
  app.get<{ Params: { '*': string } }>('/v1/models/*', { schema: { hide: true } }, async ({ params }) => {
    return find(params['*']);
  });
};

/** As vLLM lists LoRA adapters: `root` names the adapter, `parent` its base. Clients see names, no paths. */
function wireModel({ model, config, defaultAttention, prompts }: Services, created: number) {
  const checkpoint = checkpointName(model.checkpointDir);
  const { adapterDir } = model;
  return {
    id: model.name,
    object: 'model',
    created,
    owned_by: 'blockstitch',
    root: adapterDir === undefined ? checkpoint : basename(adapterDir),
    parent: adapterDir === undefined ? null : checkpoint,
    max_model_len: model.config.maxPositions,
    blockstitch: {
      family: model.config.family,
      weights: model.weights,
      fingerprint: model.fingerprint,
      attention: defaultAttention.mode,
      repair: defaultAttention.repair?.share ?? 0,
      kv_dtype: config.kvDtype,
      sink_token_ids: [...prompts.sinkTokenIds],
      block_start_token_ids: [...prompts.edges.start],
      block_end_token_ids: [...prompts.edges.end],
    },
  };
}
