/**
 * What a store holds, in sums: blocks and documents of each tenant, with their size and what their ingestion computed.
 * A record does not say whose it is; the keys of its blocks do. Knows items; `commands/cache-stats.ts` has the words.
 */
import { TAG_DIGITS } from '../../cache/block-key.js';
import { type DocumentRecord, namedKeys, type PrefillCost } from '../../documents/document-record.js';
import { recordIn } from '../../documents/document-registry.js';
import type { OpenStore } from './open-store.js';
import { idsOf } from './store-items.js';

export interface TenantSum {
  blocks: number;
  bytes: number;
  /** Blocks that documents need, as far as the store knows. */
  kept: number;
  usedMs: number;
  documents: number;
  /** What the ingestion of the documents computed, as far as their records say. */
  cost: PrefillCost;
}

/** One document and what it costs. */
export interface DocumentSum {
  /** Tag of its tenant; undefined if the record names no block. */
  tag: string | undefined;
  id: string;
  tokens: number;
  /** Of its blocks that are stored, equal ones once. */
  bytes: number;
  /** Undefined if the record does not say. */
  cost: PrefillCost | undefined;
}

export interface StoreSums {
  tenants: Map<string, TenantSum>;
  /** Documents that could not be read are counted here too. */
  documents: number;
  damaged: number;
}

/** @param onDocument told of each document; then sizes of blocks are kept in memory until the end */
export async function sumStore(
  { blocks, documents }: Pick<OpenStore, 'blocks' | 'documents'>,
  onDocument?: (document: DocumentSum) => void,
): Promise<StoreSums> {
  const sums: StoreSums = { tenants: new Map(), documents: 0, damaged: 0 };
  const sizes = new Map<string, number>();
  for await (const { key, bytes, kept, usedMs = 0 } of blocks.list()) {
    const sum = sumOf(sums, key.slice(0, TAG_DIGITS));
    sum.blocks += 1;
    sum.bytes += bytes;
    sum.kept += kept ? 1 : 0;
    sum.usedMs = Math.max(sum.usedMs, usedMs);
    if (onDocument !== undefined) sizes.set(key, bytes);
  }
  for await (const tenant of documents.tenants()) {
    for await (const id of idsOf(documents, tenant)) {
      const value = await documents.get(tenant, id);
      if (value === undefined) continue;
      sums.documents += 1;
      const record = recordIn(tenant, id, value);
      if ('damage' in record) sums.damaged += 1;
      else {
        const document = addDocument(sums, record, sizes);
        onDocument?.(document);
      }
      // Records hold whole texts.
      await new Promise(setImmediate);
    }
  }
  return sums;
}

function addDocument(sums: StoreSums, record: DocumentRecord, sizes: ReadonlyMap<string, number>): DocumentSum {
  const [first] = namedKeys(record);
  const tag = first?.slice(0, TAG_DIGITS);
  const { id, blocks, cost } = record;
  if (tag !== undefined) {
    const sum = sumOf(sums, tag);
    sum.documents += 1;
    if (cost !== undefined) {
      sum.cost.blocks += cost.blocks;
      sum.cost.tokens += cost.tokens;
      sum.cost.ms += cost.ms;
    }
  }
  const keys = new Set(blocks.map(({ hash }) => hash));
  const bytes = [...keys].reduce((all, key) => all + (sizes.get(key) ?? 0), 0);
  return { tag, id, tokens: blocks.reduce((all, { tokens }) => all + tokens, 0), bytes, cost };
}

function sumOf({ tenants }: StoreSums, tag: string): TenantSum {
  const cost = { blocks: 0, tokens: 0, ms: 0 };
  const sum = tenants.get(tag) ?? { blocks: 0, bytes: 0, kept: 0, usedMs: 0, documents: 0, cost };
  tenants.set(tag, sum);
  return sum;
}
