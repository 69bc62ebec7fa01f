/**
 * Makes the real services from the configuration: model, text, prompts, segmenters, stores, engine.
 * Knows the order of making and closing; each room knows what its service does.
 */
import { BlockCache } from '../cache/block-cache.js';
import type { ByteStore } from '../cache/byte-store.js';
import { connectRedis } from '../cache/connect-redis.js';
import { LmdbStore } from '../cache/lmdb-store.js';
import { RedisStore } from '../cache/redis-store.js';
import { StoreMacs } from '../cache/store-macs.js';
import { storedDtype } from '../cache/stored-form.js';
import type { BlockShape } from '../cache/tiers.js';
import { type Config, importedActivations } from '../config.js';
import { usableCpus } from '../cpu-quota.js';
import type { DocumentLogger } from '../documents/document-parts.js';
import { Documents, type Shelves } from '../documents/documents.js';
import { InProcessJobQueue } from '../documents/in-process-job-queue.js';
import { LmdbJobShelf } from '../documents/lmdb-job-shelf.js';
import { LmdbShelf } from '../documents/lmdb-shelf.js';
import { RedisJobShelf } from '../documents/redis-job-shelf.js';
import { RedisShelf } from '../documents/redis-shelf.js';
import { createSegmentation } from '../documents/segmentation.js';
import { createEngine } from '../engine/create-engine.js';
import type { Engine } from '../engine/engine.js';
import { EngineGroup } from '../engine/engine-group.js';
import { BlockstitchError } from '../errors.js';
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
import type { Services, TextServices } from './services.js';
import { resolveSpecialTokens } from './special-tokens.js';
import { type RedisConnection, StoreWatch } from './store-watch.js';

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
    onProgress?.({ doing: 'loading the tokenizer', done: 0, total: 1 });
    const text = await createTextService({
      checkpointDir: config.model,
      vocabSize: imported.config.vocabSize,
      maxQueue: config.maxQueue,
    });
    closers.push(() => text.close());
    const { eosTokenIds, sinkTokenIds, sinksUnderFull, notices } = resolveSpecialTokens(imported, text);
    for (const line of [...outsideNotices(text, imported.config.vocabSize), ...notices]) options.onNotice?.(line);
    const model: ImportedModel = { ...imported, config: { ...imported.config, eosTokenIds } };
    const watch = new StoreWatch({
      ...(logger ? { log: logger } : {}),
      onChange: (connection, usable) => metrics.redisConnection(connection, usable),
    });
    const told: DocumentLogger = logger ?? { info: () => undefined, warn: () => undefined };
    const stores = await openStores(config, watch, told, options.onNotice);
    const { layers, kvHeads, headDim } = model.config;
    const shape: BlockShape = { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: config.kvDtype };
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
    onProgress?.({ doing: 'loading the graph', done: 0, total: 1 });
    const grammars = new GrammarService({
      checkpoint: config.model,
      vocabSize: model.config.vocabSize,
      stopTokenIds: model.config.eosTokenIds,
      markers: [...MARKERS],
    });
    closers.push(() => grammars.close());
    const engines: Engine[] = [];
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
      closers.push(() => engine.close(graceMs));
      engines.push(engine);
      signal?.throwIfAborted();
    }
    const engine = engines.length === 1 ? (engines[0] as Engine) : new EngineGroup(engines);
    const segment = createSegmentation(text, config, options.onNotice);
    // The first document does not wait for a text thread, its tokenizer and the segmenter's model to be loaded.
    void segment(WARM_UP_TEXT, {}).catch(() => undefined);
    const notation = callNotation(config, text, options.onNotice);
    const prompts = new PromptBuilder({ textService: text, sinkTokenIds, sinksUnderFull, notation: notation.name });
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

interface OpenStores {
  blocks: ByteStore;
  shelves: Shelves;
  /** Of the shelves; the cache closes the store of blocks. */
  close: () => Promise<void>;
}

async function openStores(
  config: Config,
  watch: StoreWatch,
  logger: DocumentLogger,
  notice: (line: string) => void = () => undefined,
): Promise<OpenStores> {
  if (config.redisUrl !== '') {
    const ttlSeconds = Math.ceil(config.redisTtlMs / 1000);
    const open = (carries: RedisConnection) => connectRedis(config, { carries, onState: watch.follow(carries) });
    // Documents have a connection of their own: they do not wait behind the loads and writes of blocks.
    const client = open('documents');
    const loads = connectRedis(config, { carries: 'loads' });
    const jobs = new RedisJobShelf(client);
    const { RedisJobQueue } = await import('../documents/redis-job-queue.js');
    const connect = () => connectRedis(config, { carries: 'jobs' });
    const queue = new RedisJobQueue({ client, connect, shelf: jobs, logger });
    return {
      blocks: new RedisStore({ client: open('blocks'), loads, ttlSeconds }),
      shelves: { documents: new RedisShelf(client), jobs, queue },
      close: async () => {
        watch.closing();
        await client.quit().catch(() => client.disconnect());
      },
    };
  }
  try {
    const store = await LmdbStore.open(config.storeDir, {
      maxBytes: config.storeMaxBytes,
      onCheck: () => notice(`the store in ${config.storeDir} was not closed: its files are checked first`),
    });
    const jobs = new LmdbJobShelf(store);
    const queue = new InProcessJobQueue({ shelf: jobs, leases: jobs, logger, maxTaken: config.maxQueue });
    return {
      blocks: store,
      shelves: { documents: new LmdbShelf(store), jobs, queue },
      close: async () => {},
    };
  } catch (cause) {
    if (cause instanceof BlockstitchError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BlockstitchError(
      'config_invalid',
      { setting: '--store-dir', reason: `${config.storeDir} cannot be opened: ${reason}` },
      { cause },
    );
  }
}

function textServices(text: TextService): TextServices {
  const { tokenizer } = text;
  const hidden = new Set([...tokenizer.controlIds].filter((id) => !MARKERS.has(tokenizer.token(id) ?? '')));
  return {
    encode: (content) => text.encode(content),
    tokenText: (tokenId) => text.decode([tokenId]),
    tokenBytes: (tokenId) => [...text.tokenizer.tokenBytes(tokenId)],
    detokenizer: ({ showMarkers = false, showControl = false } = {}) =>
      text.detokenizer({ skipControl: showControl ? false : showMarkers ? hidden : true }),
    stopMatcher: (stops) => new StopMatcher(stops),
    close: () => text.close(),
  };
}
