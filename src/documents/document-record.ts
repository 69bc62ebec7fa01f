/**
 * A document as the registry keeps it: its text, how it was cut, and the keys of every block that was computed for it.
 * What a record names is what a delete removes. Data only, and the rules by which one record follows another.
 */
import type { BlockKey } from '../cache/tiers.js';
import type { SegmentOptions } from '../segment/segmenter.js';

export interface DocumentRecord {
  id: string;
  title?: string;
  text: string;
  /** Given by the client, returned as it was. */
  metadata?: Record<string, string>;
  segmentation: SegmentOptions;
  /** Names the segmenter and all its options, the server's own included. */
  cutName?: string;
  /** Unix time, seconds. */
  createdAt: number;
  /** When the document was accepted, milliseconds: what was accepted before replaces nothing that came later. */
  acceptedMs?: number;
  /** How the text was cut, half-open character spans that cover it. */
  segments: { start: number; end: number; tokens: number }[];
  /** In order; a segment of white space alone may have no block. */
  blocks: RecordBlock[];
  /** Names model, KV type, sinks and scope, under which `blocks` were computed. */
  form?: string;
  /** Keys of blocks of the same text under other segmentations or forms, one list per cut, oldest first. */
  also?: BlockKey[][];
  /** Keys of blocks of what this replaced, as long as they may still be somewhere. */
  orphans?: BlockKey[];
  /** What was computed for the id since it was registered first, replacements included. Older records do not say. */
  cost?: PrefillCost;
}

/** What ingestion computed; blocks that were found cached cost nothing. */
export interface PrefillCost {
  blocks: number;
  tokens: number;
  /** Milliseconds of engine steps, by the blocks' share of the steps' rows. */
  ms: number;
}

export interface RecordBlock {
  hash: BlockKey;
  tokens: number;
  /** Character offsets in `text`, half open. */
  start: number;
  end: number;
}

/** Keys in `also` at most: about a megabyte of JSON. */
const MAX_ALSO_KEYS = 16_384;

/** Every key that the record names. */
export function namedKeys({ blocks, also = [], orphans = [] }: DocumentRecord): Set<BlockKey> {
  return new Set([...blocks.map(({ hash }) => hash), ...also.flat(), ...orphans]);
}

/**
 * What a new record must know of the one that it replaces. Of an equal text, cuts by requests and blocks of other forms
 * stay; everything else becomes an orphan.
 *
 * @param others keys that something else names for the document (a damaged record, say)
 */
export function succeeding(
  after: DocumentRecord,
  before: DocumentRecord | undefined,
  others: Iterable<BlockKey> = [],
): DocumentRecord {
  const kept = new Set(after.blocks.map(({ hash }) => hash));
  const same = before !== undefined && before.text === after.text && before.title === after.title;
  const also: BlockKey[][] = [];
  const add = (keys: readonly BlockKey[]) => {
    const fresh = keys.filter((key) => !kept.has(key));
    for (const key of fresh) kept.add(key);
    if (fresh.length > 0) also.push(fresh);
  };
  if (same) {
    for (const keys of before.also ?? []) add(keys);
    if (before.form !== undefined && before.form !== after.form) add(before.blocks.map(({ hash }) => hash));
  }
  const bounded = withinBound(also);
  const named = new Set([...after.blocks.map(({ hash }) => hash), ...bounded.flat()]);
  const old = before === undefined ? [] : namedKeys(before);
  const orphans = [...new Set([...old, ...others])].filter((key) => !named.has(key));
  return withLists({ ...after, ...costOf(before, after) }, bounded, orphans);
}

function costOf(
  { cost: earlier }: Pick<DocumentRecord, 'cost'> = {},
  { cost }: DocumentRecord,
): { cost?: PrefillCost } {
  if (earlier === undefined || cost === undefined) return cost === undefined ? {} : { cost };
  return {
    cost: { blocks: earlier.blocks + cost.blocks, tokens: earlier.tokens + cost.tokens, ms: earlier.ms + cost.ms },
  };
}

/** @returns the record, which now names a further cut of its text; the oldest cuts become orphans where they are too many */
export function naming(record: DocumentRecord, keys: readonly BlockKey[]): DocumentRecord {
  const fresh = new Set(keys);
  for (const { hash } of record.blocks) fresh.delete(hash);
  for (const key of (record.also ?? []).flat()) fresh.delete(key);
  const also = withinBound([...(record.also ?? []), [...fresh]]);
  const named = new Set(also.flat());
  const dropped = (record.also ?? []).flat().filter((key) => !named.has(key));
  const orphans = [...(record.orphans ?? []).filter((key) => !named.has(key)), ...dropped];
  return withLists(record, also, orphans);
}

export function withoutOrphans(record: DocumentRecord): DocumentRecord {
  return withLists(record, record.also ?? [], []);
}

/** The newest lists that keep within the bound; the newest one always stays. */
function withinBound(lists: readonly BlockKey[][]): BlockKey[][] {
  const kept: BlockKey[][] = [];
  let keys = 0;
  for (const list of [...lists].reverse()) {
    keys += list.length;
    if (kept.length > 0 && keys > MAX_ALSO_KEYS) break;
    kept.unshift(list);
  }
  return kept;
}

function withLists(record: DocumentRecord, also: BlockKey[][], orphans: BlockKey[]): DocumentRecord {
  const { also: _also, orphans: _orphans, ...rest } = record;
  return { ...rest, ...(also.length > 0 ? { also } : {}), ...(orphans.length > 0 ? { orphans } : {}) };
}
