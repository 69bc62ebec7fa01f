/** Services over the fake engine: bytes for tokens, one segment per paragraph, documents in memory. */
import { type Config, loadConfig, type SettingName } from '../../src/config.js';
import { Documents } from '../../src/documents/documents.js';
import type { ImportedModel } from '../../src/model/imported-model.js';
import { NO_EDGES } from '../../src/prompt/block-edges.js';
import type { PlanBlock } from '../../src/prompt/prompt-plan.js';
import type { Segment } from '../../src/segment/segmenter.js';
import { type AppOptions, buildApp } from '../../src/server/app.js';
import { Lifecycle } from '../../src/server/lifecycle.js';
import { ServerMetrics } from '../../src/server/metrics/server-metrics.js';
import type { PromptServices, Services, TextServices } from '../../src/server/services.js';
import { NOTATIONS } from '../../src/tools/call-notation.js';
import { FakeEngine } from './fake-engine.js';
import { memoryShelves } from './memory-shelves.js';

export const MODEL: ImportedModel = {
  name: 'tiny',
  checkpointDir: '/nowhere',
  graphPath: '/nowhere/model.onnx',
  weights: 'fp32',
  storedTypes: ['F32'],
  fingerprint: 'f'.repeat(64),
  config: {
    family: 'llama',
    vocabSize: 256,
    hiddenSize: 8,
    intermediateSize: 8,
    layers: 1,
    heads: 1,
    kvHeads: 1,
    headDim: 8,
    rotaryDim: 8,
    maxPositions: 4096,
    rmsNormEps: 1e-5,
    tiedEmbeddings: true,
    qkvBias: false,
    qkNorm: false,
    eosTokenIds: [0],
  },
  generation: { temperature: 0.7 },
};

const ids = (text: string) => Int32Array.from(Buffer.from(text));

const text: TextServices = {
  encode: async (value) => ids(value),
  tokenText: (tokenId) => String.fromCharCode(tokenId),
  tokenBytes: (tokenId) => [tokenId],
  detokenizer: () => {
    const decoder = new TextDecoder();
    return {
      push: (tokenId) => decoder.decode(Uint8Array.of(tokenId), { stream: true }),
      flush: () => decoder.decode(),
    };
  },
  stopMatcher: (stops) => {
    let held = '';
    return {
      push(piece) {
        held += piece;
        const found = stops.map((stop) => ({ stop, at: held.indexOf(stop) })).find(({ at }) => at >= 0);
        if (found) return { text: held.slice(0, found.at), stop: found.stop };
        const keep = Math.min(held.length, Math.max(...stops.map(({ length }) => length)) - 1);
        const sent = held.slice(0, held.length - keep);
        held = held.slice(held.length - keep);
        return { text: sent };
      },
      flush: () => held,
    };
  },
  close: async () => {},
};

const documentBlocks: PromptServices['documentBlocks'] = async (document) =>
  (document.segments ?? [{ start: 0, end: document.text.length }]).map(
    ({ start, end }, index): PlanBlock => ({
      tokenIds: ids((index === 0 && document.title ? `${document.title}\n` : '') + document.text.slice(start, end)),
      kind: 'document',
      source: { documentIndex: document.place ?? 0, start, end },
    }),
  );

const prompts: PromptServices = {
  sinkTokenIds: Int32Array.of(1),
  edges: NO_EDGES,
  documentBlocks,
  async chat({ messages, documents, attention }) {
    const blocks = (await Promise.all(documents.map((document) => documentBlocks(document)))).flat();
    const header = messages.filter(({ role }) => role === 'system').map(({ content }) => content ?? '');
    const template: PlanBlock[] = header.map((content) => ({ tokenIds: ids(content), kind: 'template' }));
    const question = messages.at(-1)?.content ?? '';
    const sinkTokenIds = prompts.sinkTokenIds;
    return { attention, sinkTokenIds, blocks: [...template, ...blocks], finalTokenIds: ids(`${question}\n`) };
  },
  async completion({ prompt, blocks, attention }) {
    return {
      attention,
      sinkTokenIds: prompts.sinkTokenIds,
      blocks: blocks.map((block) => ({ tokenIds: ids(block), kind: 'document' })),
      finalTokenIds: typeof prompt === 'string' ? ids(prompt) : Int32Array.from(prompt),
    };
  },
};

/** Paragraphs, offsets covering the text. */
export async function segmentParagraphs(value: string): Promise<Segment[]> {
  const ends = [...value.matchAll(/\n\n/g)].map((match) => match.index + 2);
  if (ends.at(-1) !== value.length) ends.push(value.length);
  return ends.map((end, index) => {
    const start = ends[index - 1] ?? 0;
    return { start, end, tokens: Buffer.byteLength(value.slice(start, end)), boundaryScore: 1 };
  });
}

/** An app over fakes, ready, not listening. */
export async function fakeApp(
  settings: Partial<Record<SettingName, string | number | readonly string[]>> = {},
  { logger = false, serializers }: Pick<AppOptions, 'logger' | 'serializers'> = {},
) {
  const config: Config = loadConfig(settings, {});
  const engine = new FakeEngine();
  const metrics = new ServerMetrics(MODEL.name);
  const lifecycle = new Lifecycle();
  const shelves = memoryShelves();
  const documents = new Documents(shelves, {
    limits: { ...config, contextTokens: MODEL.config.maxPositions },
    engine,
    cache: engine.cache,
    prompts,
    segment: segmentParagraphs,
    logger: { info: () => undefined, warn: () => undefined },
    onBlock: (report, { tenant }) => metrics.ingested(report, tenant),
  });
  const services: Services = {
    config,
    model: MODEL,
    defaultAttention: { mode: 'block' },
    autoBlocks: config.autoBlocks === 'on',
    engine,
    cache: engine.cache,
    text,
    prompts,
    notation: NOTATIONS.hermes,
    segment: segmentParagraphs,
    documents,
    grammars: { compile: async () => ({ id: 1, release: () => undefined }) },
    metrics,
    storeState: () => 'ok',
    close: async () => engine.close(),
  };
  const app = await buildApp({ config, lifecycle, metrics, logger, ...(serializers && { serializers }) });
  lifecycle.ready(services);
  await app.ready();
  return { app, engine, lifecycle, services, config, shelves };
}
