/**
 * Makes the real services from the configuration: model, text, prompts, segmenters, stores, engine.
 * Knows the order of making and closing; each room knows what its service does.
 */
import { BlockCache } from '../cache/block-cache.js';
import { StoreMacs } from '../cache/store-macs.js';
import { storedDtype } from '../cache/stored-form.js';
import type { BlockShape } from '../cache/tiers.js';
import { type Config, importedActivations } from '../config.js';
import { usableCpus } from '../cpu-quota.js';
import type { DocumentLogger } from '../documents/document-parts.js';
import { Documents } from '../documents/documents.js';
import { createSegmentation } from '../documents/segmentation.js';
import { createEngine } from '../engine/create-engine.js';
import type { Engine } from '../engine/engine.js';
import { EngineGroup } from '../engine/engine-group.js';
import { GrammarService } from '../grammar/grammar-service.js';
import { loadAddon } from '../kernels/load-addon.js';
import { loadCuda } from '../kernels/load-cuda.js';
import { importModel } from '../model/import-model.js';
import type { ImportedModel } from '../model/imported-model.js';
import { requantizationNotice } from '../model/imported-model.js';
import { PromptBuilder } from '../prompt/prompt-builder.js';
import { StopMatcher } from '../text/stop-matcher.js';
import { createTextService, outsideNotices, type TextService } from '../text/text-service.js';
import { type CallNotation, detectNotation, MARKERS, NOTATIONS } from '../tools/call-notation.js';
import { parseDevice } from '../units.js';
import { defaultAttention } from './default-attention.js';
import type { ServerMetrics } from './metrics/server-metrics.js';
import { type OpenStores, openLmdb } from './open-lmdb.js';
import type { Services, TextServices } from './services.js';
import { resolveSpecialTokens } from './special-tokens.js';
import { StoreWatch } from './store-watch.js';

export interface StartProgress {
  doing: string;
  /** In the unit of `total`; bytes while a model is imported. */
  done: number;
  total: number;
}

export interface ServiceLogger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface OpenOptions {
  signal?: AbortSignal;
  /** Told of stores that fail, values that are damaged and workers that end: the server goes on. */
  logger?: ServiceLogger;
  onProgress?: (progress: StartProgress) => void;
  /** Most bytes that a tenant may have in the store, by its tag; undefined for no limit. */
  storedBytesOf?: (tag: string) => number | undefined;
  /** Called with one line for each unusual but harmless event. */
  onNotice?: (line: string) => void;
}

/**
 * Loads everything. The addon goes first: it must be in the process before ONNX Runtime is.
 *
 * @throws BlockstitchError what kept it from loading; everything opened by then is closed
 */
export async function openServices(
  config: Config,
  metrics: ServerMetrics,
  options: OpenOptions = {},
): Promise<Services> {
  const { signal, onProgress, logger } = options;
  const closers: (() => Promise<void>)[] = [];
  let graceMs = 0;
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    loadAddon();
    const gpus = parseDevice(config.device) ?? [];
    if (gpus.length > 0) {
      const found = loadCuda(gpus);
      for (const number of gpus) logger?.info({ gpu: number, ...found[number] }, 'GPU');
    }
    const imported = await importModel({
      checkpointDir: config.model,
      ...(config.adapter === '' ? {} : { adapterDir: config.adapter }),
      weights: config.weights,
      activations: importedActivations(config),
      cacheDir: config.importCacheDir,
      ...(config.servedName === '' ? {} : { name: config.servedName }),
      ...(signal ? { signal } : {}),
      onProgress: ({ phase, doneBytes, totalBytes }) =>
        onProgress?.({ doing: `importing the model (${phase})`, done: doneBytes, total: totalBytes }),
    });
    const requantized = requantizationNotice(imported);
    if (requantized !== undefined) options.onNotice?.(requantized);
    let text: TextService | undefined;
    closers.push(async () => text?.close());
    const watch = new StoreWatch({
      ...(logger ? { log: logger } : {}),
      onChange: (connection, usable) => metrics.redisConnection(connection, usable),
    });
    const told: DocumentLogger = logger ?? { info: () => undefined, warn: () => undefined };
    const stores = await openStores(config, watch, told, options.onNotice);
    const { layers, kvHeads, headDim } = imported.config;
    const shape: BlockShape = { fingerprint: imported.fingerprint, layers, kvHeads, headDim, dtype: config.kvDtype };
    const macs = StoreMacs.ofSetting(config.storeHmacKeys);
    const cache = new BlockCache({
      shape,
      store: stores.blocks,
      hostBytes: config.hostTierBytes,
      ...(macs === undefined ? {} : { macs }),
      storedDtype: storedDtype(config.kvDtype, config.storeValues),
      ...(options.storedBytesOf === undefined ? {} : { storedBytesOf: options.storedBytesOf }),
      onCorrupt: (key, reason) => logger?.warn({ key, reason }, 'stored block refused, it is computed anew'),
      onStoreChange: (state, calls, reason) => {
        if (state === 'open') logger?.error({ calls, reason }, 'store fails, requests go on by recomputing');
        else logger?.info({ calls }, 'store is well again');
      },
    });
    closers.push(() => cache.close());
    closers.push(stores.close);
    metrics.storeOpened(cache.brand);
    signal?.throwIfAborted();
    onProgress?.({ doing: 'loading graph and tokenizer', done: 0, total: 1 });
    let { eosTokenIds: stopTokenIds } = imported.config;
    const { vocabSize } = imported.config;
    const setup = () => ({ checkpoint: config.model, vocabSize, stopTokenIds, markers: [...MARKERS] });
    const grammars = new GrammarService(setup);
    closers.push(() => grammars.close());
    // Its thread loads the graph while this one reads the tokenizer.
    const starting = startEngines(config, gpus, { model: imported, cache, grammars, logger, signal });
    starting.catch(() => undefined);
    closers.push(async () => {
      const started = await starting.catch(() => undefined);
      await started?.close(graceMs);
    });
    text = await createTextService({ checkpointDir: config.model, vocabSize, maxQueue: config.maxQueue });
    const { eosTokenIds, notices, ...sinks } = resolveSpecialTokens(imported, text);
    stopTokenIds = eosTokenIds;
    for (const line of [...outsideNotices(text, vocabSize), ...notices]) options.onNotice?.(line);
    const model: ImportedModel = { ...imported, config: { ...imported.config, eosTokenIds } };
    const engine = await starting;
    const segment = createSegmentation(text, config, options.onNotice);
    // The first document does not wait for a text thread, its tokenizer and the segmenter's model to be loaded.
    void segment(WARM_UP_TEXT, {}).catch(() => undefined);
    const notation = callNotation(config, text, options.onNotice);
    const prompts = new PromptBuilder({ textService: text, ...sinks, notation: notation.name });
    const { templateFault } = prompts;
    if (templateFault !== undefined) {
      options.onNotice?.(`the chat template cannot be used, chats will be refused: ${templateFault}`);
    }
    const documents = new Documents(stores.shelves, {
      limits: { ...config, contextTokens: model.config.maxPositions },
      engine,
      cache,
      prompts,
      segment,
      logger: told,
      ...(macs === undefined ? {} : { macs }),
      onBlock: (report, { tenant }) => metrics.ingested(report, tenant),
    });
    // At the end this comes first: it waits for the writes that still run in the background.
    closers.push(() => documents.settle());
    return {
      config,
      model,
      defaultAttention: defaultAttention(config, model.config, options.onNotice),
      autoBlocks:
        config.autoBlocks === 'auto' ? model.config.blockAttention?.mode === 'block' : config.autoBlocks === 'on',
      engine,
      cache,
      text: textServices(text),
      prompts,
      notation,
      segment,
      documents,
      grammars,
      metrics,
      storeState: () => (watch.usable && cache.storeState === 'ok' ? 'ok' : 'failing'),
      close: async (grace = 0) => {
        graceMs = grace;
        await closeAll();
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

interface EngineParts {
  model: ImportedModel;
  cache: BlockCache;
  grammars: GrammarService;
  logger: ServiceLogger | undefined;
  signal: AbortSignal | undefined;
}

/**
 * One engine for each GPU, one after another: each sees how much memory is left. Without a GPU, the one on the CPU.
 * @throws what kept one of them from starting, or the signal's reason; those that had started are closed
 */
async function startEngines(
  config: Config,
  gpus: readonly number[],
  { model, cache, grammars, logger, signal }: EngineParts,
): Promise<Engine> {
  const engines: Engine[] = [];
  try {
    for (const gpu of gpus.length === 0 ? [undefined] : gpus) {
      const engine = await createEngine({
        model,
        cache,
        kvDtype: config.kvDtype,
        kvMemoryBytes: config.kvMemoryBytes,
        ...(gpu === undefined ? {} : { device: { number: gpu, provider: 'cuda' } }),
        threads: config.threads || usableCpus(),
        policy: { maxBatchTokens: config.maxBatchTokens, maxRunning: config.maxRunning },
        promptLookup: config.promptLookup === 'auto',
        maxQueue: config.maxQueue,
        grammars,
        ...(logger ? { logger } : {}),
      });
      engines.push(engine);
      signal?.throwIfAborted();
    }
  } catch (error) {
    for (const engine of engines) await engine.close(0);
    throw error;
  }
  return engines.length === 1 ? (engines[0] as Engine) : new EngineGroup(engines);
}

/** The setting's, else the one that the checkpoint shows. */
function callNotation(
  { toolParser }: Config,
  { chatTemplate, tokenizer }: TextService,
  notice: (line: string) => void = () => undefined,
): CallNotation {
  if (toolParser !== 'auto') return NOTATIONS[toolParser];
  const detected = detectNotation(chatTemplate, (token) => tokenizer.tokenId(token) !== undefined);
  if (detected === undefined) {
    notice(
      'the chat template takes tools, and how the model writes calls is none of the notations that are read: calls that ' +
        'it makes by itself stay in the content; tool_choice required and named functions work; see --tool-parser',
    );
  }
  return NOTATIONS[detected ?? 'hermes'];
}

/** Two sentences, so that there is something to cut. */
const WARM_UP_TEXT = 'A text thread starts. It reads the segmenter.';

/** What only Redis needs is loaded only with Redis. */
async function openStores(
  config: Config,
  watch: StoreWatch,
  logger: DocumentLogger,
  notice?: (line: string) => void,
): Promise<OpenStores> {
  if (config.redisUrl === '') return openLmdb(config, logger, notice);
  const { openRedis } = await import('./open-redis.js');
  return openRedis(config, watch, logger);
}

function textServices(text: TextService): TextServices {
  const { tokenizer } = text;
  const hidden = new Set([...tokenizer.controlIds].filter((id) => !MARKERS.has(tokenizer.token(id) ?? '')));
  return {
    encode: (content, options) => text.encode(content, options),
    tokenText: (tokenId) => text.decode([tokenId]),
    tokenBytes: (tokenId) => [...text.tokenizer.tokenBytes(tokenId)],
    detokenizer: ({ showMarkers = false, showControl = false } = {}) =>
      text.detokenizer({ skipControl: showControl ? false : showMarkers ? hidden : true }),
    stopMatcher: (stops) => new StopMatcher(stops),
    close: () => text.close(),
  };
}
