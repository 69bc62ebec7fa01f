/**
 * Ingests one document: cut, prefill, store, register, in this order. So a registered document is cached.
 * A failure leaves no block that only this ingestion stored. Knows the order; other files do the steps.
 */
import { createHash } from 'node:crypto';
import { scopeDigest, tenantTag } from '../cache/block-key.js';
import type { BlockKey, CacheScope } from '../cache/tiers.js';
import type { BlockReport } from '../engine/engine.js';
import { BlockstitchError } from '../errors.js';
import type { PlanBlock } from '../prompt/prompt-plan.js';
import type { SegmentOptions } from '../segment/segmenter.js';
import { formatBytes } from '../units.js';
import { isNewer } from './acceptance.js';
import { type Cut, cutAgain } from './cut-again.js';
import type { CutsInUse } from './cuts-in-use.js';
import { blockKeys, formName, type SharedParts } from './document-parts.js';
import { type DocumentRecord, namedKeys, type PrefillCost } from './document-record.js';
import type { Claim } from './unnamed-blocks.js';
import { keysOf, register } from './write-record.js';

/** Deletes of a document's blocks, one after another, before its ingestion gives up. */
const MAX_TRIES = 8;

/** A document as a client sends it. */
export interface NewDocument {
  /** Chosen by the client; made from the content where absent. */
  id?: string;
  title?: string;
  text: string;
  metadata?: Record<string, string>;
  segmentation?: SegmentOptions;
}

export interface IngestProgress {
  signal: AbortSignal;
  total?(blocks: number): void;
  blockDone?(): void;
  /** Called when every block is stored; the document is registered unless it throws. */
  beforeWrite?(): Promise<void>;
}

export interface Ingested {
  /** What is registered now: another document if that was accepted later. */
  record: DocumentRecord;
  /** Where each block came from, in order; none of another document. */
  reports: BlockReport[];
}

/** The id of a document: the client's, or one made from salt, title and text, so that equal documents are one. */
export function documentId({ salt }: CacheScope, { id, title = '', text }: NewDocument): string {
  if (id !== undefined) return id;
  const hash = createHash('sha256');
  for (const part of [salt, title, text]) hash.update(`${part.length}:${part}`);
  return `doc-${hash.digest('hex').slice(0, 32)}`;
}

/**
 * Ingests a document; when it resolves, its blocks are cached and its record is durable. The caller has the document's
 * turn (see `KeyedQueue`). Among servers the one that was accepted last stays, whichever is ready first.
 *
 * @param acceptedMs see `Acceptance`
 * @throws BlockstitchError what segmenting, the engine and the store throw; nothing is registered then. A block that
 *   somebody deletes meanwhile is computed again; `deleted_meanwhile` if that happens all the time
 */
export async function ingestDocument(
  parts: SharedParts & { cuts: Pick<CutsInUse, 'unwritten' | 'written' | 'dropping'> },
  scope: CacheScope,
  document: NewDocument,
  progress: IngestProgress,
  acceptedMs: number,
): Promise<Ingested> {
  const { registry, prompts, unnamed, cuts } = parts;
  const { signal } = progress;
  const id = documentId(scope, document);
  const found = await registry.find(scope, id);
  const before = found.state === 'found' ? found.record : undefined;
  if (isNewer(found, acceptedMs)) return { record: found.record, reports: [] };
  const { title, text, metadata, segmentation = {} } = document;
  const context = { tenant: scopeDigest(scope), signal };
  const segments = await cutAgain(parts.segment, before, text, segmentation, parts.limits.maxBlocks, context);
  const cutName = parts.segment.nameOf?.(segmentation);
  const prompted = { id, ...(title === undefined ? {} : { title }), text, segments };
  const blocks = await prompts.documentBlocks(prompted, context);
  progress.total?.(blocks.length);
  const tryCounter = countedOnce(progress.blockDone);
  const keys = await blockKeys(parts, blocks, scope);
  const giveBackRoom = await roomFor(parts, scope, blocks, keys);
  const claim = await unnamed.claim(keys, keysOf(found)).catch((error: unknown) => {
    giveBackRoom();
    throw error;
  });
  const cost: PrefillCost = { blocks: 0, tokens: 0, ms: 0 };
  try {
    const reports = await untilKept(claim, () => {
      return computed(parts, scope, blocks, { signal, blockDone: tryCounter() }, cost);
    });
    const made: DocumentRecord = {
      id,
      ...(title === undefined ? {} : { title }),
      text,
      ...(metadata === undefined ? {} : { metadata }),
      segmentation,
      ...(cutName === undefined ? {} : { cutName }),
      createdAt: Math.floor(Date.now() / 1000),
      acceptedMs,
      segments: segments.map(span),
      blocks: reports.map(({ key, tokens }, index) => {
        const { start = 0, end = text.length } = blocks[index]?.source ?? {};
        return { hash: key, tokens, start, end };
      }),
      form: formName(parts, scope),
      cost: { ...cost, ms: Math.round(cost.ms) },
    };
    await progress.beforeWrite?.();
    const { record, written } = await cuts.dropping(scope, id, () =>
      register(parts, scope, made, cuts.unwritten(scope, id)),
    );
    if (!written) {
      await claim.drop(namedKeys(record));
      return { record, reports: [] };
    }
    claim.named();
    cuts.written(scope, id);
    return { record, reports };
  } catch (error) {
    if (!goesOnLater(signal)) await claim.drop();
    // Another server may have taken the room meanwhile: then the store refuses, and trying again is of no use.
    if (isStoreFailure(error) && !signal.aborted) (await roomFor(parts, scope, blocks, keys))();
    throw error;
  } finally {
    claim.end();
    giveBackRoom();
  }
}

/**
 * Reserves room in the store for the blocks that are not stored yet.
 * @returns gives back what was not stored; call it once
 * @throws BlockstitchError `stored_bytes_exceeded` if the tenant has no room for them
 */
async function roomFor(
  { cache }: Pick<SharedParts, 'cache'>,
  { tenant }: CacheScope,
  blocks: readonly PlanBlock[],
  keys: readonly BlockKey[],
): Promise<() => void> {
  const lengths = new Map(keys.map((key, index) => [key, blocks[index]?.tokenIds.length ?? 0]));
  const room = await cache.reserveRoom(tenantTag(tenant), lengths);
  if (room.ok) return room.release;
  const { stored, wanted, limit } = room;
  throw new BlockstitchError('stored_bytes_exceeded', {
    stored: formatBytes(stored),
    wanted: formatBytes(wanted),
    limit: formatBytes(limit),
  });
}

function isStoreFailure(thrown: unknown): boolean {
  return thrown instanceof BlockstitchError && thrown.code === 'store_failed';
}

/** @param cost counts what is computed, in every try */
function computed(
  { engine, prompts, onBlock }: SharedParts,
  scope: CacheScope,
  blocks: readonly PlanBlock[],
  { signal, blockDone }: Pick<IngestProgress, 'signal' | 'blockDone'>,
  cost: PrefillCost,
): Promise<BlockReport[]> {
  const options = {
    sinkTokenIds: prompts.sinkTokenIds,
    scope,
    onBlock: (report: BlockReport) => {
      onBlock(report, scope);
      blockDone?.();
      if (report.origin !== 'computed') return;
      cost.blocks += 1;
      cost.tokens += report.tokens;
      cost.ms += report.prefillMs ?? 0;
    },
  };
  return engine.ingest(blocks, options, signal);
}

/**
 * Computes blocks again if somebody deletes some of them meanwhile: another document may have had them. What is still
 * cached is not computed twice.
 */
async function untilKept<T>(claim: Claim, compute: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await compute();
    } catch (error) {
      const again = error instanceof BlockstitchError && error.code === 'deleted_meanwhile' && tries < MAX_TRIES;
      if (!again) throw error;
      await claim.again();
    }
  }
}

/** @returns makes one counter per try; a block that an earlier try counted is not counted again */
function countedOnce(blockDone: (() => void) | undefined): () => () => void {
  let most = 0;
  return () => {
    let here = 0;
    return () => {
      here++;
      if (here <= most) return;
      most = here;
      blockDone?.();
    };
  };
}

/** Why a job is given up here and its blocks are left: it goes on at the next start, or on another server. */
export class KeptForLater extends BlockstitchError {
  readonly where: 'next start' | 'elsewhere';

  constructor(where: KeptForLater['where']) {
    super('shutting_down');
    this.where = where;
  }
}

function goesOnLater(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof KeptForLater;
}

function span({ start, end, tokens }: Cut) {
  return { start, end, tokens };
}
