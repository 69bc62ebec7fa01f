/** The parts that the files of this room use from the rooms below. */
import type { StoreMacs } from '../cache/store-macs.js';
import type { BlockKey, CacheScope } from '../cache/tiers.js';
import type { Config } from '../config.js';
import type { BlockReport, Engine } from '../engine/engine.js';
import type { PromptContext, PromptDocument } from '../prompt/document-blocks.js';
import type { PlanBlock } from '../prompt/prompt-plan.js';
import type { DocumentRegistry } from './document-registry.js';
import type { KeyedQueue } from './keyed-queue.js';
import type { Segmentation } from './segmentation.js';
import type { DocumentCache, UnnamedBlocks } from './unnamed-blocks.js';

export interface DocumentLogger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export interface DocumentLimits extends Pick<Config, 'maxDocuments' | 'maxDocumentBytes' | 'maxBlocks' | 'maxQueue'> {
  /** Positions that a prompt may take. */
  contextTokens: number;
}

export interface DocumentParts {
  limits: DocumentLimits;
  engine: Pick<Engine, 'ingest' | 'blockKey'>;
  cache: DocumentCache;
  prompts: {
    readonly sinkTokenIds: Int32Array;
    documentBlocks(document: PromptDocument, context?: PromptContext): Promise<PlanBlock[]>;
  };
  segment: Segmentation;
  logger: DocumentLogger;
  /** If given, records and jobs are signed, and others are refused. */
  macs?: StoreMacs;
  /** Told of each block of an ingestion, and in whose scope it is. */
  onBlock: (report: BlockReport, scope: CacheScope) => void;
}

/** Within the room: the parts, and what its files share. */
export interface SharedParts extends DocumentParts {
  registry: DocumentRegistry;
  /** One thing at a time per document; see `orderKey`. */
  orders: KeyedQueue;
  unnamed: UnnamedBlocks;
}

/** Keys hashed before the event loop gets a turn. */
const KEYS_PER_TURN = 1024;

/** Keys of blocks under the model, KV type and sinks of this server. */
export async function blockKeys(
  { engine, prompts }: Pick<DocumentParts, 'engine' | 'prompts'>,
  blocks: readonly PlanBlock[],
  scope: CacheScope,
): Promise<BlockKey[]> {
  const keys: BlockKey[] = [];
  for (const [index, { tokenIds }] of blocks.entries()) {
    if (index % KEYS_PER_TURN === KEYS_PER_TURN - 1) await new Promise(setImmediate);
    keys.push(engine.blockKey(tokenIds, prompts.sinkTokenIds, scope));
  }
  return keys;
}

/** Names the model, KV type, sinks and scope under which keys are made: the key of a block without tokens. */
export function formName({ engine, prompts }: Pick<DocumentParts, 'engine' | 'prompts'>, scope: CacheScope): string {
  return engine.blockKey(new Int32Array(0), prompts.sinkTokenIds, scope);
}
