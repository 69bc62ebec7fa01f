/**
 * Every setting of the program: one table of flag, environment name, default, unit, limits and help.
 * Knows values and words. `config.ts` reads what was given; the rooms get plain numbers and strings.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CLIENT_SETTINGS, KEY_SETTINGS } from './key-settings.js';
import {
  bytes,
  type ChoiceSetting,
  choice,
  integer,
  milliseconds,
  type NumberSetting,
  type SecretListSetting,
  type Setting,
  text,
} from './setting-kinds.js';
import { CACHE_DIR, STORE_SETTINGS } from './store-settings.js';
import { formatBytes } from './units.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** The package's own directory: two levels up from dist/src/config.js, one from src/config.ts. */
export const PACKAGE_DIR = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '..' : '../..', import.meta.url));

/** The settings, in the order in which `--help` and docs/api.md list them. */
export const SETTINGS = {
  host: text('--host', 'BLOCKSTITCH_HOST', '127.0.0.1', 'address to listen on'),
  port: integer('--port', 'BLOCKSTITCH_PORT', 8080, 0, 65_535, 'port', 'port to listen on; 0 picks a free one'),
  model: text(
    '--model',
    'BLOCKSTITCH_MODEL',
    join(PACKAGE_DIR, 'models', 'demo'),
    'checkpoint: a Hugging Face directory, a GGUF file, or a name that blockstitch pull knows (smollm2)',
  ),
  adapter: text(
    '--adapter',
    'BLOCKSTITCH_ADAPTER',
    '',
    'directory of a PEFT LoRA adapter that is merged into the model at import (docs/serve-your-model.md); if empty, the one that a named model has; none: no adapter',
  ),
  servedName: text(
    '--served-name',
    'BLOCKSTITCH_SERVED_NAME',
    '',
    "model name in the API; the directory's name if empty",
  ),
  weights: choice(
    '--weights',
    'BLOCKSTITCH_WEIGHTS',
    'int8',
    ['fp32', 'int8', 'int4', 'native'],
    'format of the linear layers; native: as a GGUF file stores them; kept per format in the import cache',
  ),
  device: text(
    '--device',
    'BLOCKSTITCH_DEVICE',
    'cpu',
    'cpu, or GPUs: cuda, cuda:1, or cuda:0,1 for one engine each (docs/cuda.md)',
  ),
  activations: choice(
    '--activations',
    'BLOCKSTITCH_ACTIVATIONS',
    'auto',
    ['auto', 'float16', 'bfloat16'],
    "type of hidden states on a GPU; auto takes the checkpoint's own, else float16. On the CPU they are float32",
  ),
  kvDtype: choice(
    '--kv-dtype',
    'BLOCKSTITCH_KV_DTYPE',
    'float16',
    ['float32', 'float16', 'bfloat16', 'int8'],
    'element type of cached keys and values',
  ),
  kvMemoryBytes: bytes(
    '--kv-memory',
    'BLOCKSTITCH_KV_MEMORY',
    0,
    0,
    4096 * GiB,
    'size of the KV pool; 0 takes 1 GiB of host memory, or on a GPU what the model leaves free',
  ),
  threads: integer(
    '--threads',
    'BLOCKSTITCH_THREADS',
    0,
    0,
    1024,
    'threads',
    'compute threads; 0 takes every usable CPU',
  ),
  maxBatchTokens: integer(
    '--max-batch-tokens',
    'BLOCKSTITCH_MAX_BATCH_TOKENS',
    512,
    16,
    65_536,
    'tokens',
    'new tokens in one engine step',
  ),
  maxRunning: integer(
    '--max-running',
    'BLOCKSTITCH_MAX_RUNNING',
    32,
    1,
    4096,
    'requests',
    'requests that generate at once',
  ),
  attention: choice(
    '--attention',
    'BLOCKSTITCH_ATTENTION',
    'auto',
    ['auto', 'block', 'full'],
    "attention of requests that name none; auto takes the mode in the checkpoint's config.json, else block",
  ),
  repair: text(
    '--repair',
    'BLOCKSTITCH_REPAIR',
    'auto',
    'share of the cached tokens, 0 to 1, that is computed again in context for requests that name no attention; auto: 0 for checkpoints trained for block attention, else 0.15',
  ),
  promptLookup: choice(
    '--prompt-lookup',
    'BLOCKSTITCH_PROMPT_LOOKUP',
    'auto',
    ['auto', 'off'],
    'decode several tokens in a step where an answer repeats the documents, with the same text; auto: as far as it pays (docs/choosing.md)',
  ),
  toolParser: choice(
    '--tool-parser',
    'BLOCKSTITCH_TOOL_PARSER',
    'auto',
    ['auto', 'hermes', 'llama3_json', 'mistral'],
    'how the model writes calls of functions; auto reads it off the chat template and the vocabulary',
  ),
  autoBlocks: choice(
    '--auto-blocks',
    'BLOCKSTITCH_AUTO_BLOCKS',
    'auto',
    ['auto', 'on', 'off'],
    'cut long messages into blocks where a request does not say; auto: for checkpoints trained for block attention',
  ),
  otlpEndpoint: text(
    '--otlp-endpoint',
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    '',
    'collector of OpenTelemetry traces, OTLP over HTTP, such as http://127.0.0.1:4318; empty: no traces',
  ),
  ...STORE_SETTINGS,
  importCacheDir: text(
    '--import-cache',
    'BLOCKSTITCH_IMPORT_CACHE',
    join(CACHE_DIR, 'imports'),
    'directory of imported models',
  ),
  modelCacheDir: text(
    '--model-cache',
    'BLOCKSTITCH_MODEL_CACHE',
    join(CACHE_DIR, 'models'),
    'directory of the models that blockstitch pull NAME gets',
  ),
  ...KEY_SETTINGS,
  maxBodyBytes: bytes('--max-body', 'BLOCKSTITCH_MAX_BODY', 8 * MiB, KiB, GiB, 'size of a request body'),
  maxPromptBytes: bytes(
    '--max-prompt',
    'BLOCKSTITCH_MAX_PROMPT',
    MiB,
    KiB,
    GiB,
    "UTF-8 size of a request's messages together, of its prompt, or of its prediction",
  ),
  maxDocuments: integer(
    '--max-documents',
    'BLOCKSTITCH_MAX_DOCUMENTS',
    256,
    1,
    65_536,
    'documents',
    'documents in one request',
  ),
  maxDocumentBytes: bytes(
    '--max-document',
    'BLOCKSTITCH_MAX_DOCUMENT',
    2 * MiB,
    KiB,
    GiB,
    'UTF-8 size of one document',
  ),
  maxBatch: integer(
    '--max-batch',
    'BLOCKSTITCH_MAX_BATCH',
    10_000,
    1,
    1_000_000,
    'documents',
    'documents in one upload to /v1/document-batch',
  ),
  maxBlocks: integer(
    '--max-blocks',
    'BLOCKSTITCH_MAX_BLOCKS',
    8192,
    1,
    1_048_576,
    'blocks',
    'blocks that one document may be cut into',
  ),
  maxTokens: integer(
    '--max-tokens',
    'BLOCKSTITCH_MAX_TOKENS',
    4096,
    1,
    1_048_576,
    'tokens',
    'largest max_tokens of a request',
  ),
  defaultTokens: integer(
    '--default-tokens',
    'BLOCKSTITCH_DEFAULT_TOKENS',
    256,
    1,
    1_048_576,
    'tokens',
    'max_tokens of requests that name none; less if the context ends before',
  ),
  maxStops: integer('--max-stops', 'BLOCKSTITCH_MAX_STOPS', 16, 1, 256, 'strings', 'stop strings in one request'),
  maxChoices: integer('--max-choices', 'BLOCKSTITCH_MAX_CHOICES', 8, 1, 128, 'choices', 'largest n of one request'),
  maxQueue: integer('--max-queue', 'BLOCKSTITCH_MAX_QUEUE', 256, 0, 65_536, 'requests', 'requests that may wait'),
  deadlineMs: milliseconds(
    '--deadline',
    'BLOCKSTITCH_DEADLINE',
    600_000,
    86_400_000,
    'longest time of one request; 0 sets no deadline',
  ),
  maxConnections: integer(
    '--max-connections',
    'BLOCKSTITCH_MAX_CONNECTIONS',
    4096,
    1,
    1_000_000,
    'connections',
    'open connections; more are closed at once',
  ),
  ...CLIENT_SETTINGS,
  corsOrigins: text(
    '--cors-origins',
    'BLOCKSTITCH_CORS_ORIGINS',
    '',
    'origins whose pages may call the API from a browser, such as https://app.example, separated by commas; * for all',
  ),
  trustProxy: text(
    '--trust-proxy',
    'BLOCKSTITCH_TRUST_PROXY',
    '',
    'addresses and networks of the proxies whose x-forwarded-for is believed, separated by commas; empty believes none',
  ),
  playground: choice(
    '--playground',
    'BLOCKSTITCH_PLAYGROUND',
    'on',
    ['on', 'off'],
    'the page at / to look at blocks and ask in a browser (docs/playground.md)',
  ),
  segmenter: choice(
    '--segmenter',
    'BLOCKSTITCH_SEGMENTER',
    'auto',
    ['auto', 'structural', 'fixed', 'paragraphs', 'recursive', 'texttiling', 'embedding', 'semantic'],
    'segmenter of requests that name none',
  ),
  segmenterDir: text(
    '--segmenter-dir',
    'BLOCKSTITCH_SEGMENTER_DIR',
    join(PACKAGE_DIR, 'models', 'segmenter'),
    'directory of the trained segmenter; without its files, auto means structural',
  ),
  sentenceEncoder: text(
    '--sentence-encoder',
    'BLOCKSTITCH_SENTENCE_ENCODER',
    '',
    'directory of an ONNX sentence encoder for the embedding segmenter; hashed n-grams if empty',
  ),
  targetTokens: integer(
    '--target-tokens',
    'BLOCKSTITCH_TARGET_TOKENS',
    200,
    8,
    8192,
    'tokens',
    'wanted mean length of a block',
  ),
  maxBlockTokens: integer(
    '--max-block-tokens',
    'BLOCKSTITCH_MAX_BLOCK_TOKENS',
    512,
    8,
    16_384,
    'tokens',
    "hard maximum of a block's own text; title, template text and a checkpoint's edge sinks come on top",
  ),
  maxDownMs: milliseconds(
    '--max-down',
    'BLOCKSTITCH_MAX_DOWN',
    60_000,
    86_400_000,
    'time for which the engine may stay down before the process ends with exit code 1; 0 never ends it',
  ),
  drainMs: milliseconds(
    '--drain',
    'BLOCKSTITCH_DRAIN',
    30_000,
    3_600_000,
    'time that running requests get to finish on SIGTERM or SIGINT',
  ),
  logLevel: choice(
    '--log-level',
    'BLOCKSTITCH_LOG_LEVEL',
    'info',
    ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'],
    'least severe level that is logged',
  ),
  hubEndpoint: text('--endpoint', 'HF_ENDPOINT', 'https://huggingface.co', 'Hugging Face hub that pull downloads from'),
  hubToken: text(null, 'HF_TOKEN', '', 'access token for gated checkpoints'),
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

type SettingValue<S extends Setting> = S extends NumberSetting
  ? number
  : S extends ChoiceSetting<infer C>
    ? C
    : S extends SecretListSetting
      ? readonly string[]
      : string;

/** Checked settings: numbers in the unit of their name; a text that is not set is empty. */
export type Config = { readonly [N in SettingName]: SettingValue<(typeof SETTINGS)[N]> };

/** The default as help and docs show it. */
export function shownDefault(setting: Setting): string {
  if (setting.kind === 'bytes') return formatBytes(setting.default);
  if (setting.kind === 'milliseconds') return setting.default === 0 ? '0' : `${setting.default / 1000}s`;
  return String(setting.default);
}

/** The name of a setting in messages: its flag, or its environment name if it has no flag. */
export function settingLabel(name: SettingName): string {
  return SETTINGS[name].flag ?? SETTINGS[name].env;
}
